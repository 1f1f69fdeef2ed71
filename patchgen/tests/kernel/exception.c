//#Changed: show
//#Entries: __ex_table 12
#include "kernel.h"
int show(int *p)
{
	int x = 0;
	int failed = LOAD_OR(-14, x, p);
	return failed ? failed : value(x + CHOOSE(1, 2));
}
int other(int *p)
{
	int x = 0;
	return LOAD_OR(-5, x, p) + value(x);
}
