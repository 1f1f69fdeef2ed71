#include "livepatch.h"
extern long state;
static void add(long more) { state += more; }

static int before(void) { add(1); return 0; }
LIVEPATCH_PRE_APPLY(before);

static int during(void) { add(10); return 0; }
LIVEPATCH_AT_APPLY(during);

static int after(void) { add(100); return 0; }
LIVEPATCH_POST_APPLY(after);

static int before_end(void) { add(1000); return 0; }
LIVEPATCH_PRE_REVERT(before_end);

static int end(void) { add(10000); return 0; }
LIVEPATCH_AT_REVERT(end);

static int after_end(void) { add(100000); return 0; }
LIVEPATCH_POST_REVERT(after_end);

long answer(long x) { return x + state - (x == 1000); }
