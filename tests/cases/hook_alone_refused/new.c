#include "livepatch.h"
long limit = 5;
static int raise_limit(void) { limit = 6; return 0; }
LIVEPATCH_POST_APPLY(raise_limit);
long answer(long x) { return x + limit; }
