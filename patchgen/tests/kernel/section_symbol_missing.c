// The assembler makes no symbol for a section whose start nothing refers to: here for that of the old code, and of a variable.
//#Flags: -mno-record-mcount -g0
//#NoSectionSymbol: .text.show .data.known
//#Changed: show
//#Functions: show
//#Undefined: value
//#Livepatch: known
#include "kernel.h"
int known = 3;
int show(int x)
{
#ifdef NEW
	asm volatile("1: .pushsection .discard.places, \"a\"; .long 1b - .; .popsection");
#endif
	return value(x + known + CHOOSE(1, 2));
}
