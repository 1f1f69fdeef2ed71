// Only the rare part changed: the function goes with it.
//#Changed: show
//#Functions: show show.cold
#include "kernel.h"
extern void bad(const char *text) __attribute__((cold));
int show(int x)
{
	if (x == 7)
		bad(CHOOSE("seven", "SEVEN"));
	return value(x);
}
