// A rare branch becomes a piece of its own.
//#Changed: show
//#Functions: show show.cold
#include "kernel.h"
extern void bad(const char *text) __attribute__((cold));
int show(int x)
{
#ifdef NEW
	if (x == 7)
		bad("seven");
#endif
	return value(x) + CHOOSE(1, 2);
}
