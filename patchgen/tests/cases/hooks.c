//#Changed: f
//#New: check allowed
//#Hook: pre-apply check
//#Hook: post-revert done
#include "livepatch.h"
int limit = 5;
#ifdef NEW
int allowed = 1;
static int check(void) { return !allowed; }
LIVEPATCH_PRE_APPLY(check);
static int done(void) { limit = 5; return 0; }
LIVEPATCH_POST_REVERT(done);
int f(void) { return limit + 1; }
#else
int f(void) { return limit; }
#endif
