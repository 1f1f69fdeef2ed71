#include "livepatch.h"
#include <unistd.h>
static int rest(void) { return usleep(1000); }
LIVEPATCH_PRE_APPLY(rest);
LIVEPATCH_AT_APPLY(rest);
LIVEPATCH_POST_APPLY(rest);
LIVEPATCH_POST_REVERT(rest);
long answer(long x) { return x + 1; }
