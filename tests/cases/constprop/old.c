// The compiler specialises a function for a constant argument (`.constprop`); the clone changes.
//#OldHas: scale.constprop
//#Cflags: -O2 -fno-ipa-sra
//#ExpectBefore: 143
//#ExpectOutput: 183
__attribute__((noinline)) static long scale(long x, long factor) {
    for (long i = 0; i < factor; i++)
        x += 20 + (x & i);
    return x + 3;
}
long answer(long x) { return scale(x, 5); }
