#include "livepatch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int allocate(void) {
    for (int round = 0; round < 200; round++) {
        char *text = malloc(1 + (size_t)round * 37);
        char line[64];
        snprintf(line, sizeof line, "%d", round);
        if (!text || !(text[0] = (char)strlen(line)))
            return 1;
        free(text);
    }
    return 0;
}
LIVEPATCH_PRE_APPLY(allocate);
LIVEPATCH_POST_APPLY(allocate);
LIVEPATCH_POST_REVERT(allocate);
long answer(long x) { return x + 1; }
