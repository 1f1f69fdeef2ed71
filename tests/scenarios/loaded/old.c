// New code calls a function of the C library that has a state of its own in each name space.
#include <stdlib.h>
static long calls = 1;
long answer(long x) {
    srand((unsigned)x);
    return calls++;
}
