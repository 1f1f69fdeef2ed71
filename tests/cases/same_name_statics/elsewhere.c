__attribute__((noipa)) static long helper(long x) { return x ^ 4; }
long elsewhere(long x) { return helper(x); }
