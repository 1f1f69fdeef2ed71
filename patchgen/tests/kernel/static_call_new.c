// A new static call brings its key and its trampoline (`.static_call.text`), as in any module.
//#Changed: show
//#New: __SCK__fresh __SCT__fresh
//#Entries: .static_call_sites 8
#include "kernel.h"
#ifdef NEW
STATIC_CALL_DEFINE(fresh, value)
#endif
int show(int x)
{
#ifdef NEW
	STATIC_CALL(fresh);
#endif
	return value(x + CHOOSE(1, 2));
}
