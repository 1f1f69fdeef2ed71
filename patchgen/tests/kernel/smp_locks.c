//#Changed: show
//#Entries: .smp_locks 4
#include "kernel.h"
static int count;
int show(int x)
{
	atomic_inc(&count);
	return value(x + CHOOSE(1, 2));
}
int other(int x)
{
	atomic_inc(&count);
	return value(x);
}
