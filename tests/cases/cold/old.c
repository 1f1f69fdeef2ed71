// The unlikely half of the function lies elsewhere (`.cold`) and changes too.
//#OldHas: answer.cold
//#Ask: -3
//#ExpectBefore: -30
//#ExpectOutput: -60
__attribute__((cold, noipa)) static long rare(long x) { return x; }
long answer(long x) {
    if (x < 0)
        return rare(x * 2) * 5;
    return x + 1;
}
