#include <stdio.h>
void text(long x, char *out, size_t size) { snprintf(out, size, "<%5ld|%#lx>", x, x); }
