// A static executable without symbols.
//#In clang O0: ApplyRefuses: `labs` was not found
//#Link: static
//#Strip: all
//#Target
//#ExpectBefore: 21
//#ExpectOutput: 1022
//#AfterRevert: 23
extern long calls;
long calls;
__attribute__((noipa)) static long half(long x) { return x / 2; }
long answer(long x) { return half(x) + ++calls; }
