// Until 6.6 calls that a hypervisor's guest replaces are listed: `.parainstructions`.
//#Changed: show
//#Entries: .parainstructions 16
#include "kernel.h"
int show(int x)
{
	asm volatile("771: call *%c0\n772:\n.pushsection .parainstructions, \"a\"\n.balign 8\n.quad 771b\n"
		     ".byte 3\n.byte 772b - 771b\n.balign 8\n.popsection" : : "i"(&value) : "memory");
	return value(x + CHOOSE(1, 2));
}
