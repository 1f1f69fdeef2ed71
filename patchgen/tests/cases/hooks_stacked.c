// The old object is that of an earlier patch: its hook had its turn.
//#Changed: f
//#New: livepatch_shadow_calls
//#Reference: livepatch_arena livepatch_variable_calls
//#NotNew: first
//#Hook: at-apply second
#include "livepatch.h"
LIVEPATCH_SHADOW(long, calls);
static int first(void) { return 0; }
LIVEPATCH_PRE_APPLY(first);
#ifdef NEW
static int second(void) { return 0; }
LIVEPATCH_AT_APPLY(second);
long f(void *x) { long *n = livepatch_attach(calls, x); return n ? ++*n : 1; }
#else
long f(void *x) { long *n = livepatch_attach(calls, x); return n ? ++*n : 0; }
#endif
