__attribute__((noipa)) static long times(long x) { return x * 7; }
long answer(long x) { return x + 3 + times(x) * 0; }
long other(long x) { return times(x); }
