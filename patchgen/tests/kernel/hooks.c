// The livepatch core calls hooks around the switch.
//#Changed: show
//#Functions: check done show
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
static int done(struct klp_object *object)
{
	return value(2);
}
LIVEPATCH_PRE_APPLY(check);
LIVEPATCH_POST_REVERT(done);
#endif
