#include "livepatch.h"
extern long state;
static int yes(void) { state += 1; return 0; }
LIVEPATCH_PRE_APPLY(yes);
static int no(void) { return 3; }
LIVEPATCH_PRE_APPLY(no);
static int undo(void) { state -= 1; return 0; }
LIVEPATCH_POST_REVERT(undo);
long answer(long x) { return x + state + 1; }
