// The same call with a number that is no line.
//#Changed: show
#include "kernel.h"
int show(int x)
{
	if (unlikely(x))
		printk("\001" "3assertion failed at %s (%d)\n", "case.c", CHOOSE(10, 11));
	return value(x);
}
