// Every function calls a profiler at its entry.
//#Cflags: -O2 -pg
//#OldHas: mcount
//#ExpectBefore: 41
//#ExpectOutput: 45
__attribute__((noipa)) static long step(long x) { return x + 1; }
long answer(long x) { return step(x); }
