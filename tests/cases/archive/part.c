long part(long x);
static long base = 4;
__attribute__((noipa)) static long helper(long x) { return x + base; }
long part(long x) { return helper(x); }
