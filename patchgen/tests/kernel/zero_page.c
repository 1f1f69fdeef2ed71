// A place before a symbol's start.
//#Changed: show
//#Functions: show
#include "kernel.h"
extern char zero[];
int show(int x)
{
	use(zero - 4096);
	return value(x + CHOOSE(1, 2));
}
