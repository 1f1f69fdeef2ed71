// An executable at a fixed address, below 2 GiB.
//#Link: no-pie
//#ExpectBefore: 21
//#ExpectOutput: 1022
//#AfterRevert: 23
extern long calls;
long calls;
__attribute__((noipa)) static long half(long x) { return x / 2; }
long answer(long x) { return half(x) + ++calls; }
