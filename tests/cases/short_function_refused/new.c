long answer(long x) { return x; }
long next(long x) { return x + 5; }
