#include <stdio.h>
const char *greeting(void), *whom(void);
void ask(const char *line, char *out, size_t size) {
    (void)line;
    snprintf(out, size, "%s, %s", greeting(), whom());
}
