// A static local of a changed function is the running one.
//#Changed: show
//#Livepatch: count.0
//#NotNew: count.0
#include "kernel.h"
int show(int x)
{
	static int count;
	count++;
	return value(x + CHOOSE(1, 2) + count);
}
