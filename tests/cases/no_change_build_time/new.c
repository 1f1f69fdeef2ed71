#include <stdio.h>
long answer(long x) {
    if (x < 0)
        fprintf(stderr, "built %s\n", "on Nov 22 2026 at 04:53:01");
    return x;
}
