__attribute__((noinline)) static long add(long x, long y) { return x + 2 + y; }
long answer(long x) { return add(x, x / 8); }
