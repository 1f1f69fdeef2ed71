#include <stdio.h>
#include <stdlib.h>
#include <string.h>
long answer(long x);
long (*callback)(long);
void ask(const char *line, char *out, size_t size) {
    if (!strcmp(line, "forget"))
        callback = NULL;
    else
        snprintf(out, size, "%ld", answer(atol(line)));
}
