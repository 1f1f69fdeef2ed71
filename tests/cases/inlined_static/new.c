static inline long square(long x) { return x * x + x + 1; }
__attribute__((noipa)) static long one(long x) { return square(x) + 7; }
long answer(long x) { return one(x) + x; }
