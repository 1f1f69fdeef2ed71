//#Changed: show
//#NotNew: _entry.0 _entry_ptr.0
#include "kernel.h"
int show(int x)
{
	pr_indexed("shown\n");
	return value(x + CHOOSE(1, 2));
}
