inline __attribute__((noinline)) long shared(long x) { return x * 3; }
long elsewhere(long x);
long elsewhere(long x) { return shared(x); }
