#include <stdio.h>
long answer(long x);
long other(long x);
void ask(const char *line, char *out, size_t size) {
    long x = 0;
    if (sscanf(line, "answer %ld", &x) == 1)
        snprintf(out, size, "%ld", answer(x));
    else if (sscanf(line, "other %ld", &x) == 1)
        snprintf(out, size, "%ld", other(x));
}
