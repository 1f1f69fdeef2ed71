//#Changed: caller helper
//#New: caller helper
static int __attribute__((noinline, noclone)) helper(
#ifdef NEW
    int a, int b) { return a * b; }
int caller(int x) { return helper(x, x + 2); }
#else
    int a) { return a * 2; }
int caller(int x) { return helper(x); }
#endif
