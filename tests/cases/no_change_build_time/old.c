// The time of the build is in a message: that is no change. (Written out: what `__DATE__` and `__TIME__` give.)
//#ExpectOutput: 40
//#In gcc O0: Patched
//#NoChange
//#ExpectBefore: 40
#include <stdio.h>
long answer(long x) {
    if (x < 0)
        fprintf(stderr, "built %s\n", "on Jan  1 2025 at 10:00:00");
    return x;
}
