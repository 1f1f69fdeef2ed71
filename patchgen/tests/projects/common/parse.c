#include "parse.h"
#include <stdlib.h>

static int limit(long number) { return number > 1000 ? 1000 : (int)number; }

int parse(struct state *state, const char *line) {
    state->lines++;
    int number = limit(strtol(line, NULL, 10));
    if (number < 0)
        state->errors++;
    return twice(number);
}
