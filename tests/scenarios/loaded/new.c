#include <stdlib.h>
static long calls = 1;
long answer(long x) {
    srand((unsigned)x);
    calls++;
    return rand();
}
