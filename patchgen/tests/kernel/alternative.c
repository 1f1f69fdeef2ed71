//#Changed: show
//#Entries: .altinstructions 12
//#Entries: .altinstr_replacement 2
#include "kernel.h"
int show(int x)
{
	asm volatile(ALTERNATIVE("nop; nop", "clc; cld", 35));
	return value(x + CHOOSE(1, 2));
}
int other(int x)
{
	asm volatile(ALTERNATIVE("nop; nop", "clc; clc", 36));
	return value(x);
}
