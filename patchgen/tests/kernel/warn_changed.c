// The same code, but another kind of warning: a table says so.
//#Changed: show
//#Entries: __bug_table 12
#include "kernel.h"
int show(int x)
{
	if (unlikely(x == 3))
		BUG_FLAGS(__LINE__, CHOOSE(1, 9));
	return value(x);
}
