#include <stdio.h>
#include <stdlib.h>
extern long (*const mine)(long), (*const theirs)(long);
void ask(const char *line, char *out, size_t size) {
    snprintf(out, size, "%ld", mine(atol(line)) + theirs(atol(line)));
}
