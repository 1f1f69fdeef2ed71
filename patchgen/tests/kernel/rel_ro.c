// A table of pointers without a change is the running one.
//#Changed: show
//#Livepatch: names
//#NotNew: names
#include "kernel.h"
static const char *const names[] = { "one", "two", "three" };
int show(int x)
{
	use(names);
	return value(x + CHOOSE(1, 2));
}
