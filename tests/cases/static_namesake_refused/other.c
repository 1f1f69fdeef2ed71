long other(long x);
__attribute__((noipa)) static long labs(long x) { return x + 777; }
long other(long x) { return labs(x); }
