//#Refused: the kernel has no moment for an at-apply hook
//#Flags: -D__KERNEL__
#include "kernel.h"
#include "livepatch.h"
int show(int x)
{
	return value(x + CHOOSE(1, 2));
}
#ifdef NEW
static int check(struct klp_object *object)
{
	return value(1);
}
LIVEPATCH_AT_APPLY(check);
#endif
