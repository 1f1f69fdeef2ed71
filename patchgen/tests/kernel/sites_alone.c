// The code decides these lists: that objtool left them out of one version is no change.
//#Unchanged:
#include "kernel.h"
#define LIST(section) ".pushsection " section ", \"a\"\n.long 1b - .\n.popsection\n"
int show(int x)
{
	asm volatile("1: call value\n" CHOOSE("", LIST(".call_sites")) : : : "memory");
	return value(x);
}
