#include <stdlib.h>
void text(long x, char *out, size_t size);
void ask(const char *line, char *out, size_t size) { text(atol(line), out, size); }
