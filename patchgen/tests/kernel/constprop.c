// A clone of the optimiser, renumbered and changed.
//#Changed: helper.constprop.0
//#Functions: helper.constprop.0
#include "kernel.h"
static noinline int helper(int x, int y)
{
	return value(x * y + CHOOSE(1, 2)) + value(x - y);
}
int show(int x)
{
	return helper(x, 5) + helper(x + 1, 5);
}
