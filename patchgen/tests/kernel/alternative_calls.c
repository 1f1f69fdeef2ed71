// The replacement refers to a function.
//#Changed: show
//#Entries: .altinstr_replacement 5
//#Undefined: faster
#include "kernel.h"
int show(int x)
{
	asm volatile(ALTERNATIVE("call slower", "call faster", 35) : : : "memory");
	return value(x + CHOOSE(1, 2));
}
