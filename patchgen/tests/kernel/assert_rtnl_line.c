//#Unchanged:
#include "kernel.h"
#ifdef NEW

#endif
int show(int x)
{
	if (unlikely(x))
		printk("\001" "3RTNL: assertion failed at %s (%d)\n", "case.c", __LINE__);
	return value(x);
}
