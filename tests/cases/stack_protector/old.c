// Hardened as a distribution builds: stack protector, stack clash protection, fortified.
//#Cflags: -O2 -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 -fcf-protection
//#ExpectBefore: 21
//#ExpectOutput: 1022
//#AfterRevert: 23
extern long calls;
long calls;
__attribute__((noipa)) static long half(long x) { return x / 2; }
long answer(long x) { return half(x) + ++calls; }
