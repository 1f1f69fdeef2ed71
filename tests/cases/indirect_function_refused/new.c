static long one(long x) { return x + 1; }
static long two(long x) { return x + 2; }
static long (*choose(void))(long) { return two; }
long chosen(long x) __attribute__((ifunc("choose")));
long answer(long x) { return chosen(x) + 0 * one(x); }
