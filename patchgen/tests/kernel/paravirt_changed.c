// The same code, with another kind of call.
//#Changed: show
#include "kernel.h"
#define PARAVIRT(kind) \
	asm volatile("771: call *%c0\n772:\n.pushsection .parainstructions, \"a\"\n.balign 8\n.quad 771b\n" \
		     ".byte " #kind "\n.byte 772b - 771b\n.balign 8\n.popsection" : : "i"(&value) : "memory")
int show(int x)
{
	CHOOSE(PARAVIRT(3), PARAVIRT(4));
	return value(x);
}
int other(int x)
{
	PARAVIRT(3);
	return value(x);
}
