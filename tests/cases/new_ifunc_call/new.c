#include <string.h>
long answer(long x) {
    char text[64], copy[64];
    memset(text, (int)x, sizeof text);
    strcpy(text + 4, "needle");
    memcpy(copy, text, sizeof text);
    return x * 10 + (strchr(copy, 100) - copy) + (memcmp(copy, text, 64) != 0) + (long)strlen(copy + 8);
}
