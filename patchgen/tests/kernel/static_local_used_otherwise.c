// A new function that the old user alone calls has a variable of the same name and size, but does something else with it.
//#Refused: it cannot be told which existing variable it is
#include "kernel.h"
#ifdef NEW
static noinline int helper(int x)
{
	static int count[2];
	use(&count[1]);
	return value(x);
}
int show(int x)
{
	return helper(x) + 1;
}
#else
int show(int x)
{
	static int count[2];
	return value(x + ++count[0]);
}
#endif
