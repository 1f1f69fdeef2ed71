// What the compiler's checks say of places in the source is new for new code, and no change by itself.
//#Flags: -fsanitize=bounds-strict
//#Changed: show
#include "kernel.h"
static int table[8];
int other(int x)
{
	return value(table[x]);
}
#ifdef NEW

#endif
int show(int x)
{
	return value(table[x] + CHOOSE(1, 2));
}
