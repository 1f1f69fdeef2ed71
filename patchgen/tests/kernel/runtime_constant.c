// A constant that the kernel's start fills in: new code reads the variables, the file's own and others'.
//#Changed: show
//#Livepatch: table
//#Undefined: LIMIT
//#Entries: runtime_ptr_LIMIT 0
#include "kernel.h"
static void *table __attribute__((used));
void *show(int x)
{
	table = &table;
	return value(x + CHOOSE(1, 2)) ? RUNTIME_POINTER(table) : RUNTIME_POINTER(LIMIT);
}
