//#Changed: dispatch
//#New: table three
//#Reference: two one
static int __attribute__((noinline)) one(int x) { return x + 1; }
static int __attribute__((noinline)) two(int x) { return x + 2; }
#ifdef NEW
static int __attribute__((noinline)) three(int x) { return x + 3; }
static int (*const table[])(int) = { one, two, three };
#else
static int (*const table[])(int) = { one, two };
#endif
int dispatch(int i, int x) { return table[i](x); }
