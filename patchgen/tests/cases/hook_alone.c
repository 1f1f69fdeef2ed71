//#Refused: it is a hook, and no function changes
#include "livepatch.h"
int limit = 5;
int f(void) { return limit; }
#ifdef NEW
static int raise_limit(void) { limit = 6; return 0; }
LIVEPATCH_POST_APPLY(raise_limit);
#endif
