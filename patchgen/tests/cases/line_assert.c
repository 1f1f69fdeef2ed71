//#Unchanged:
#include <assert.h>
#ifdef NEW
#line 90
#endif
int f(int x) { assert(x > 3); return x; }
int g(int x) { assert(x > 5); assert(x < 90); return x; }
