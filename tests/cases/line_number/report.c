#include <stdio.h>
void report(const char *file, int line) { fprintf(stderr, "%s:%d\n", file, line); }
