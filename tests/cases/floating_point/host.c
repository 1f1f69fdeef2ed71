#include <stdio.h>
double scale(double);
float other(float);
void ask(const char *line, char *out, size_t size) {
    (void)line;
    snprintf(out, size, "%.2f %.2f", scale(4), other(4));
}
