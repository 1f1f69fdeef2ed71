//#Changed: show
//#Functions: added show
//#Entries: __mcount_loc 16
#include "kernel.h"
#ifdef NEW
static noinline int added(int x)
{
	return value(x) * 3;
}
#endif
int show(int x)
{
	return CHOOSE(value(x), added(x) + 1);
}
