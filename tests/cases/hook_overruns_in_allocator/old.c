// A hook that allocates without end is given up, and leaves no lock of the allocator held.
//#Apply: --hook-timeout 200ms
//#ExpectBefore: 40
//#ApplyRefuses: did not return in time
#include <malloc.h>
#include <stdlib.h>
__attribute__((constructor)) static void one_arena(void) { mallopt(M_ARENA_MAX, 1); }
long answer(long x) {
    free(malloc(5000));
    return x;
}
