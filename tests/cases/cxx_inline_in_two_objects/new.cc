inline __attribute__((noinline)) long shared(long x) { return x * 3 + 7; }
long elsewhere(long x);
long answer(long x) { return shared(x) + elsewhere(x) - 116; }
