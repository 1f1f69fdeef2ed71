#include "livepatch.h"
__attribute__((noinline, optimize("no-optimize-sibling-calls"))) static int deeper(volatile char *above) {
    volatile char room[1000];
    room[0] = above[0];
    return deeper(room) + room[0];
}
static int crash(void) {
    volatile char first = 1;
    return deeper(&first);
}
LIVEPATCH_AT_APPLY(crash);
long answer(long x) { return x + 1; }
