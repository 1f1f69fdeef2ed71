//#Changed: f
//#New: livepatch_shadow_calls
//#Reference: livepatch_arena livepatch_variable_calls
#ifdef NEW
#include "livepatch.h"
LIVEPATCH_SHADOW(long, calls);
long f(void *x) { long *n = livepatch_attach(calls, x); return n ? ++*n : 0; }
#else
long f(void *x) { return 0; }
#endif
