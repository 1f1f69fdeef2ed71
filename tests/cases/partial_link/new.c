long elsewhere(long x);
static long state = 3;
__attribute__((noipa)) static long helper(long x) { return x + state + 20; }
long answer(long x) { return helper(x) + elsewhere(x); }
