#include "livepatch.h"
#include <unistd.h>
static int sleeper(void) { return sleep(100) != 0; }
LIVEPATCH_AT_APPLY(sleeper);
long answer(long x) { return x + 1; }
