#include "livepatch.h"
static int *volatile nowhere;
static int crash(void) { return *nowhere; }
LIVEPATCH_PRE_APPLY(crash);
long answer(long x) { return x + 1; }
