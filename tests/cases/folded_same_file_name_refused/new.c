long other(long x);
static __attribute__((noinline)) long scaled(long x) { return x * 3 + 2; }
long answer(long x) { return scaled(x) + other(x) - x; }
