/* Three functions, each on pages of its own, so that a patch of all takes three writes. */
#ifdef HOOKS
#include "livepatch.h"
/* Calls into the target at every stage of an apply and a revert, and memory of its own. */
LIVEPATCH_SHADOW(int, counts);
static int hook(void) {
    int *count = livepatch_attach(counts, (void *)64);
    return count ? 0 * ++*count : 1;
}
LIVEPATCH_PRE_APPLY(hook);
LIVEPATCH_AT_APPLY(hook);
LIVEPATCH_POST_APPLY(hook);
LIVEPATCH_PRE_REVERT(hook);
LIVEPATCH_AT_REVERT(hook);
LIVEPATCH_POST_REVERT(hook);
#endif

#define ALONE __attribute__((noipa, aligned(16384)))

ALONE int one(int x) { return x + FIRST * 1000; }
ALONE int two(int x) { return x + REST * 1000; }
ALONE int three(int x) { return x + REST * 1000; }
