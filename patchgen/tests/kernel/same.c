//#Unchanged:
#include "kernel.h"
MODULE_INFO(license, "GPL");
static struct static_key key;
int show(int *p)
{
	int x = 0;
	LOAD_OR(-14, x, p);
	asm volatile(ALTERNATIVE("nop; nop", "clc; cld", 35));
	WARN_ON_ONCE(x == 4);
	use(&key);
	return static_branch(&key) ? value(x) : 0;
}
