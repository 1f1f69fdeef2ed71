#include "livepatch.h"
static volatile int forever = 1;
static int endless(void) {
    while (forever)
        ;
    return 0;
}
LIVEPATCH_PRE_APPLY(endless);
long answer(long x) { return x + 1; }
