// A new variable of each processor, beside one that there was.
//#Changed: show
//#New: fresh
//#Livepatch: known
//#Entries: .data..percpu 68
#include "kernel.h"
static int known __attribute__((section(".data..percpu"))) = 1;
#ifdef NEW
static int fresh __attribute__((section(".data..percpu..shared_aligned"), aligned(64))) = 3;
static int second __attribute__((section(".data..percpu"), aligned(64)));
#endif
int show(int x)
{
	asm volatile("incl %%gs:%0" : "+m"(known));
#ifdef NEW
	asm volatile("incl %%gs:%P0" : : "p"(&fresh));
	asm volatile("incl %%gs:%P0" : : "p"(&second));
#endif
	return value(x + CHOOSE(1, 2));
}
