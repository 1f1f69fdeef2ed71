//#Refused: `check` as a hook, which the running program has already
//#Refused: `at_dawn` is no phase in which hooks run
//#Refusals: 2
#include "livepatch.h"
int limit = 5;
int check(void) { return limit; }
#ifdef NEW
LIVEPATCH_PRE_APPLY(check);
static int dawn(void) { return 0; }
LIVEPATCH_HOOK_(at_dawn, dawn);
int f(void) { return limit + 1; }
#else
int f(void) { return limit; }
#endif
