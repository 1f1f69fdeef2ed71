// Three bytes of code, then the next function: no room for a jump.
//#In O0: Patched
//#In clang: Patched
//#ExpectOutput: 40
//#Cflags: -O2 -falign-functions=1
//#ExpectBefore: 0
//#ApplyRefuses: answer
long answer(long x) {
    (void)x;
    return 0;
}
long next(long x) { return x + 5; }
