__attribute__((noipa)) static long helper(long x) { return x + 23; }
long elsewhere(long x);
long answer(long x) { return helper(x) + elsewhere(x); }
