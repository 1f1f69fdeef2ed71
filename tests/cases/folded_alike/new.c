static __attribute__((noinline)) long scaled(long x) { return x * 3 + 2; }
static __attribute__((noinline)) long other(long x) { return x * 3 + 2; }
long answer(long x) { return scaled(x) + other(x) + x; }
