#include "livepatch.h"
long limit = 6;
static int set(void) { limit = 6; return 0; }
LIVEPATCH_AT_APPLY(set);
static int set_back(void) { limit = 5; return 0; }
LIVEPATCH_AT_REVERT(set_back);
long answer(long x) { return x + limit + 100; }
