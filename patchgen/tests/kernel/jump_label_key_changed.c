// The same code, decided by another key.
//#Changed: show
#include "kernel.h"
extern struct static_key one, other;
int show(int x)
{
	return static_branch(&CHOOSE(one, other)) ? value(x) : 0;
}
