// The tracer does not see what changed, but it sees who calls it.
//#Changed: first second third
//#Functions: first middle second third untraced
#include "kernel.h"
#define notrace __attribute__((no_instrument_function))
static noinline notrace int untraced(int x)
{
	return value(x + CHOOSE(1, 2));
}
int first(int x)
{
	return untraced(x) * 2;
}
static noinline notrace int middle(int x)
{
	return untraced(x) * 3;
}
int second(int x)
{
	return middle(x) + 1;
}
int third(int x)
{
	return second(x) + 1;
}
