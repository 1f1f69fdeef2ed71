//#Changed: show
//#Functions: show
#include "kernel.h"
extern void bad(const char *text) __attribute__((cold));
int show(int x)
{
#ifndef NEW
	if (x == 7)
		bad("seven");
#endif
	return value(x);
}
