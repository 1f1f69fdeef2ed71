// What `modinfo` shows is not what runs.
//#Changed: show
#include "kernel.h"
MODULE_INFO(license, "GPL");
MODULE_INFO(import_ns, CHOOSE("ONE", "TWO"));
int show(int x)
{
	return value(x + CHOOSE(1, 2));
}
