//#Unchanged:
//#Flags: -fno-toplevel-reorder
#include <assert.h>
#ifdef NEW
int puts(const char *);
static int unused(void) { assert(puts("u")); return 1; }
int (*keep)(void) __attribute__((unused));
#endif
int f(int x) { assert(x > 3); return x; }
