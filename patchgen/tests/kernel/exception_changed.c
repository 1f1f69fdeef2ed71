// Only what happens after a fault changed.
//#Changed: show
#include "kernel.h"
int show(int *p)
{
	int x = 0;
	int failed = LOAD_OR(CHOOSE(-14, -5), x, p);
	return failed ? failed : value(x);
}
