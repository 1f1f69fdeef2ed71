// A static that nothing writes any more: the compiler takes it for a constant, whatever the running one holds.
//#Refused: `limit` in
//#Refused: what the running one holds would be ignored
#include "kernel.h"
static int limit = 10;
#ifndef NEW
void set_limit(int x)
{
	limit = x;
}
#endif
int show(int x)
{
	return value(x + limit) * CHOOSE(1, 2);
}
