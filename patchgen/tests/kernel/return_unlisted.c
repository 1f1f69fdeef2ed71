//#Refused: its returns are not in `.return_sites`: objtool has not worked on the object
#include "kernel.h"
int show(int x)
{
	if (x == CHOOSE(1, 2))
		asm volatile("jmp __x86_return_thunk");
	return value(x);
}
