// Two patches of one function, one on the other.
//#ExpectBefore: 41
//#ExpectOutput: 42
__attribute__((noipa)) static long times(long x) { return x * 7; }
long answer(long x) { return x + 1; }
long other(long x) { return times(x); }
