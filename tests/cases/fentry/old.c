// Every function calls a tracer before its own code (`-mfentry`).
//#Cflags: -O2 -pg -mfentry
//#OldHas: __fentry__
//#ExpectBefore: 41
//#ExpectOutput: 45
__attribute__((noipa)) static long step(long x) { return x + 1; }
long answer(long x) { return step(x); }
