//#Flags: -fpatchable-function-entry=5
//#Changed: f
//#New: fresh
int puts(const char *);
#ifdef NEW
static __attribute__((noipa)) int fresh(int x) { return x + puts("fresh"); }
int f(int x) { return fresh(x); }
#else
int f(int x) { return x; }
#endif
int g(int x) { return x * 3; }
