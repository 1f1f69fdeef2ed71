long elsewhere(long x);
static long state = 4;
__attribute__((noipa)) static long helper(long x) { return x + state; }
long elsewhere(long x) { return helper(x); }
