long part(long x);
static long state = 100;
__attribute__((noipa)) static long helper(long x) { return x + state; }
long part(long x) { return helper(x); }
