long other(long x);
static __attribute__((noinline, section(".text.scaled"))) long scaled(long x) { return x * 3 + 1; }
long other(long x) { return scaled(x) + x; }
