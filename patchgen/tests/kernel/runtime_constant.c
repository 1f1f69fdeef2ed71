//#Refused: it uses a constant that only the kernel's start fills in
#include "kernel.h"
void *show(int x)
{
	void *pointer;
	asm("mov $0x0123456789abcdef, %0\n1:\n"
	    ".pushsection runtime_ptr_table, \"a\"\n.long 1b - 8 - .\n.popsection"
	    : "=r"(pointer));
	return value(x + CHOOSE(1, 2)) ? pointer : 0;
}
