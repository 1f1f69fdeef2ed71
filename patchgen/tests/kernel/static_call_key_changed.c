// The same code with the key of another call is another call.
//#Changed: show
//#Undefined: __SCK__second
#include "kernel.h"
int show(int x)
{
	CHOOSE(STATIC_CALL_BY(known, first), STATIC_CALL_BY(known, second));
	return value(x);
}
