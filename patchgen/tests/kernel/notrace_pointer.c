// Whoever has the address would go on calling the old code.
//#Refused: the old function has no place for ftrace
#include "kernel.h"
#define notrace __attribute__((no_instrument_function))
static noinline notrace int untraced(int x)
{
	return value(x + CHOOSE(1, 2));
}
int first(int x)
{
	use(untraced);
	return untraced(x) * 2;
}
