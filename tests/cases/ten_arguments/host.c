#include <stdio.h>
long sum(long, long, long, long, long, long, long, long, long, long);
void ask(const char *line, char *out, size_t size) {
    (void)line;
    snprintf(out, size, "%ld", sum(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
}
