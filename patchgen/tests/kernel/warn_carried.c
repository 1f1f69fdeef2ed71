//#Changed: show
//#Entries: __bug_table 24
//#New: __already_done.0
#include "kernel.h"
int show(int x)
{
	WARN_ON(x == 3);
	WARN_ON_ONCE(x == 4);
	return value(x + CHOOSE(1, 2));
}
int other(int x)
{
	WARN_ON(x == 3);
	return value(x);
}
