// Checked against the shared library when the patch is made.
//#Target
//#Link: shared
//#ExpectBefore: 21
//#ExpectOutput: 1022
//#AfterRevert: 23
extern long calls;
long calls;
__attribute__((noipa)) static long half(long x) { return x / 2; }
long answer(long x) { return half(x) + ++calls; }
