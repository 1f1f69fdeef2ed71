static long base = 0;
long answer(long x) { return x + base + 5; }
