//#Changed: show
//#Entries: __jump_table 16
//#Livepatch: key
#include "kernel.h"
static struct static_key key;
int show(int x)
{
	use(&key);
	if (static_branch(&key))
		return value(x + CHOOSE(1, 2));
	return value(x);
}
int other(int x)
{
	return static_branch(&key) ? value(x) : 0;
}
