//#Changed: f
#include <assert.h>
#ifdef NEW
#define LIMIT 1004
#line 90
#else
#define LIMIT 1003
#endif
int take(int);
int f(int x) { assert(x > 3); return take(LIMIT); }
int g(int x) { assert(x > 5); return x; }
