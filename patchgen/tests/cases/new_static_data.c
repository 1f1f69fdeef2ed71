//#Changed: f
//#New: seen zeros fallback
#ifdef NEW
static int seen = 3;
static int zeros[100];
static int fallback(int x) { return -x; }
static int (*volatile handler)(int) = fallback;
int f(int x) { zeros[x & 63] = seen++; return handler(x) + zeros[1]; }
#else
int f(int x) { return x; }
#endif
