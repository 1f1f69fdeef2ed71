// A call that the kernel redirects: site and key are the running kernel's, and so is the trampoline.
//#Changed: show
//#Entries: .static_call_sites 8
//#Undefined: __SCK__known __SCT__known
#include "kernel.h"
int show(int x)
{
	STATIC_CALL(known);
	return value(x + CHOOSE(1, 2));
}
