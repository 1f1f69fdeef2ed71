//#Unchanged:
#include "kernel.h"
extern void __might_sleep(const char *file, int line);
#ifdef NEW

#endif
int show(int x)
{
	__might_sleep("case.c", __LINE__);
	return value(x);
}
