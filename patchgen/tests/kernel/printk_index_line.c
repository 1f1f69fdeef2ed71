//#Unchanged:
#include "kernel.h"
#ifdef NEW

#endif
int show(int x)
{
	pr_indexed("shown\n");
	return value(x);
}
