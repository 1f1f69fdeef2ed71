// A static call of the file's own that was there is the running kernel's.
//#Changed: show
//#NotNew: __SCK__known __SCT__known
//#Livepatch: __SCK__known __SCT__known
#include "kernel.h"
STATIC_CALL_DEFINE(known, value)
int show(int x)
{
	STATIC_CALL(known);
	return value(x + CHOOSE(1, 2));
}
