// A text that says where it is (`FORTIFY_SOURCE`).
//#Unchanged:
#include "kernel.h"
#define TEXT(line) #line
#define LINE(line) TEXT(line)
#ifdef NEW

#endif
int show(int x)
{
	if (unlikely(x))
		printk("detected field-spanning write at " "case.c" ":" LINE(__LINE__) " (size %d)", x);
	return value(x);
}
