// Debug information is compressed; a line number in a call moved, and a function changed.
//#Cflags: -O2 -g -gz
//#ExpectBefore: 40
//#ExpectOutput: 43
__attribute__((noipa)) static void note(int line) { __asm__ volatile("" : : "r"(line)); }
__attribute__((noipa)) long helper(long x);
long helper(long x) {
    if (x > 1000)
        note(__LINE__);
    return x;
}
long answer(long x) { return helper(x); }
