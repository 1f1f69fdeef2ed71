__attribute__((noipa)) static long times(long x) { return x * 7; }
long answer(long x) { return times(x) + ADD; }
