#include <string.h>
__attribute__((noipa)) static long sum(const char *text, long count) {
    long total = 0;
    for (long i = 0; i < count; i++)
        total += text[i];
    return total;
}
long answer(long x) {
    char room[30000];
    memset(room, 0, sizeof room);
    room[x * 100] = 10;
    room[29999] = 43;
    return x + sum(room, sizeof room);
}
