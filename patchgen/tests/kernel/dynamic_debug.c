//#Changed: show
//#New: descriptor.3
//#Entries: __dyndbg 40
#include "kernel.h"
int show(int x)
{
	pr_debug("shown\n");
	return value(x + CHOOSE(1, 2));
}
int other(int x)
{
	pr_debug("other\n");
	return value(x);
}
