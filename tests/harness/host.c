/* The usual host of a case: the case defines `answer`, the question is its argument. */
#include <stdio.h>
#include <stdlib.h>

long answer(long question);

void ask(const char *line, char *out, size_t size) {
    snprintf(out, size, "%ld", answer(atol(line)));
}
