// The simplest patch: one global function does something else.
//#ExpectBefore: 41
//#ExpectOutput: 42
long answer(long x) { return x + 1; }
