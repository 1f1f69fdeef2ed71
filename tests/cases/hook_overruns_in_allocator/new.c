#include "livepatch.h"
#include <malloc.h>
#include <stdlib.h>
__attribute__((constructor)) static void one_arena(void) { mallopt(M_ARENA_MAX, 1); }
static int hungry(void) {
    for (size_t size = 2000;; size = size * 5 % 60000 + 2000) {
        free(malloc(size));
        __asm__ volatile(""); // A loop that does nothing need not be one in C++.
    }
    return 0;
}
LIVEPATCH_PRE_APPLY(hungry);
long answer(long x) {
    free(malloc(5000));
    return x + 1;
}
