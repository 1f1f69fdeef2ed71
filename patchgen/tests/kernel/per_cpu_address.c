//#Refused: the initial value of a new per-CPU variable holds an address
#include "kernel.h"
#ifdef NEW
static const void *fresh __attribute__((section(".data..percpu"))) = &value;
#endif
int show(int x)
{
#ifdef NEW
	asm volatile("incq %%gs:%P0" : : "p"(&fresh));
#endif
	return value(x + CHOOSE(1, 2));
}
