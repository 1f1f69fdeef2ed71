//#Refused: a new per-CPU variable is not supported
#include "kernel.h"
#ifdef NEW
static int counter __attribute__((section(".data..percpu")));
#endif
int show(int x)
{
#ifdef NEW
	asm volatile("incl %%gs:%0" : "+m"(counter));
#endif
	return value(x + CHOOSE(1, 2));
}
