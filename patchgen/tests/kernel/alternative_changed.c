// Only what some processors run instead changed.
//#Changed: show
//#Entries: .altinstr_replacement 2
#include "kernel.h"
int show(int x)
{
	asm volatile(ALTERNATIVE("nop; nop", CHOOSE("clc; cld", "cld; clc"), 35));
	return value(x);
}
