// New variables beside existing ones in a section of the kernel's.
//#Changed: show
//#New: fresh
//#Livepatch: known
#include "kernel.h"
static int known __read_mostly = 3;
#ifdef NEW
static int fresh __read_mostly = 4;
#endif
int show(int x)
{
	known += x;
	return value(CHOOSE(known, known + fresh++));
}
