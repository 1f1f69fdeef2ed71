//#Changed: caller
//#NotNew: helper
#ifdef NEW
int caller(int x) { return x * 2; }
#else
static int __attribute__((noinline)) helper(int x) { return x + x; }
int caller(int x) { return helper(x) + 1; }
#endif
