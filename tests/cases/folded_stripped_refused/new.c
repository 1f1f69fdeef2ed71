__attribute__((noinline)) long scaled(long x);
__attribute__((noinline)) long scaled(long x) { return x * 3 + 2; }
__attribute__((noinline)) long other(long x);
__attribute__((noinline)) long other(long x) { return x * 3 + 1; }
long answer(long x) { return scaled(x) + other(x) + x; }
