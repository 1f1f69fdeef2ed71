// The function that changes ends by jumping to one that does not, where a thread stays: that is no frame of the first any more.
//#Cflags: -O2
//#Patchgen: --quiesce rest
//#ExpectBefore: 1
//#ExpectOutput: 2
#ifndef PASSED
#define PASSED 1
#endif
#include <stdatomic.h>
#include <unistd.h>
extern atomic_int stay, inside;
__attribute__((noipa)) long rest(long x) {
    inside = 1;
    while (stay)
        usleep(1000);
    inside = 0;
    return x;
}
long slow(void) { return rest(PASSED); }
