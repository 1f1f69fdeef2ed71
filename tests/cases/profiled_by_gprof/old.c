// The profiler's tables hold return addresses in every function that was called.
//#Forms: none
//#Cflags: -O2 -pg
//#Libraries: -pg
//#OldHas: mcount
//#ExpectBefore: 41
//#ExpectOutput: 45
//#Kept
__attribute__((noipa)) static long step(long x) { return x + 1; }
long answer(long x) { return step(x); }
