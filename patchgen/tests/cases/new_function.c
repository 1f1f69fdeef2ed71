//#Changed: f
//#New: helper deeper
#ifdef NEW
static int __attribute__((noinline)) deeper(int x) { return x ^ 0x55; }
int __attribute__((noinline)) helper(int x) { return deeper(x * 2) - 1; }
int f(int x) { return helper(x); }
#else
int f(int x) { return x; }
#endif
