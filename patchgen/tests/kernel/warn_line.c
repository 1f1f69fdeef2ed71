// Only line numbers of warnings changed.
//#Unchanged:
#include "kernel.h"
#ifdef NEW

#endif
int show(int x)
{
	WARN_ON(x == 3);
	WARN_ON_ONCE(x == 4);
	return value(x);
}
