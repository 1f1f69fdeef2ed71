//#Refused: which is gone when the kernel has started
#include "kernel.h"
static int chosen __attribute__((section(".init.data"))) = 3;
int __init start(int x)
{
	return value(x + chosen++);
}
int show(int x)
{
#ifdef NEW
	return value(x + chosen);
#else
	return value(x);
#endif
}
