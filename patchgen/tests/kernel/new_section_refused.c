//#Refused: new data in section `__strange`, whose meaning is not known
#include "kernel.h"
#ifdef NEW
static int strange __attribute__((section("__strange"))) = 3;
#endif
int show(int x)
{
#ifdef NEW
	return value(x + strange++);
#else
	return value(x);
#endif
}
