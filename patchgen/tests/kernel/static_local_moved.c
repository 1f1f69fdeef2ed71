// A static local whose function was split keeps its state.
//#Changed: show
//#Functions: helper show
//#Livepatch: count.0
//#NotNew: count.0
#include "kernel.h"
#ifdef NEW
static noinline int helper(int x)
{
	static int count;
	return value(x + ++count);
}
int show(int x)
{
	return helper(x) + 1;
}
#else
int show(int x)
{
	static int count;
	return value(x + ++count);
}
#endif
