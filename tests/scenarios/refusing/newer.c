#include "livepatch.h"
static int no(void) { return -1; }
LIVEPATCH_POST_APPLY(no);
long answer(long x) { return x + 3; }
