#include <stdio.h>
#include <stdlib.h>
long answer(long x);
long (*self(void))(long);
static long (*volatile first)(long);
void ask(const char *line, char *out, size_t size) {
    if (!first)
        first = self();
    snprintf(out, size, "%d %ld", first == self() && first == answer, first(atol(line)));
}
