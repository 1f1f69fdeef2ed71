// Places before a symbol's start, and 2 GiB behind it: how the kernel's code makes physical addresses of virtual ones.
//#Changed: show
//#Functions: show
#include "kernel.h"
extern char zero[];
int show(int x)
{
	use(zero - 4096);
	use(zero + 0x80000000ul);
	return value(x + CHOOSE(1, 2));
}
