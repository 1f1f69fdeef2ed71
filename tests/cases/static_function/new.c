__attribute__((noipa)) static long times(long x) { return x * 4; }
long answer(long x) { return times(x); }
