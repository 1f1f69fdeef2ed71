#include <stdio.h>
#include <stdlib.h>
#include <string.h>
long answer(long x);
long (*volatile entry)(long) = answer;
void ask(const char *line, char *out, size_t size) {
    int marked = !memcmp((void *)entry, "\xf3\x0f\x1e\xfa", 4);
    snprintf(out, size, "%s %ld", marked ? "endbr64" : "other", entry(atol(line)));
}
