//#Unchanged:
#include "kernel.h"
#ifdef NEW

#endif
int show(int x)
{
	pr_debug("shown\n");
	return value(x);
}
