//#Changed: helper.isra.0
//#Functions: helper.isra.0
#include "kernel.h"
struct pair { int a, b; };
static noinline int helper(struct pair *pair, int x)
{
	return value(pair->a + x + CHOOSE(1, 2)) + value(x);
}
int show(struct pair *pair, int x)
{
	return helper(pair, x);
}
int other(struct pair *pair, int x)
{
	return helper(pair, x + 1);
}
