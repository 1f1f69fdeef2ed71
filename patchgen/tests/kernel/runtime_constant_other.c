// The same code with another constant.
//#Changed: show
//#Undefined: UPPER
#include "kernel.h"
void *show(int x)
{
	return value(x) ? CHOOSE(RUNTIME_POINTER(LIMIT), RUNTIME_POINTER(UPPER)) : 0;
}
int other(int x) { return value(x) + RUNTIME_SHIFT(x, shift); }
