//#Changed: f
#ifdef NEW
int helper(int x) { return x * 3; }
int f(int x) { return helper(x) + 1; }
#else
static int __attribute__((noinline)) helper(int x) { return x * 3; }
int f(int x) { return helper(x); }
#endif
