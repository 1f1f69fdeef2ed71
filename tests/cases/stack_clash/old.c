// A frame of many pages is touched page by page.
//#Cflags: -O2 -fstack-clash-protection
//#ExpectBefore: 50
//#ExpectOutput: 93
#include <string.h>
__attribute__((noipa)) static long sum(const char *text, long count) {
    long total = 0;
    for (long i = 0; i < count; i++)
        total += text[i];
    return total;
}
long answer(long x) {
    char room[20000];
    memset(room, 0, sizeof room);
    room[x * 100] = 10;
    return x + sum(room, sizeof room);
}
