#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
long answer(long x);
static const unsigned long reach = 3ul << 30, lowest = 1 << 20;

static void occupy(unsigned long from, unsigned long to) {
    if (from < to)
        mmap((void *)from, to - from, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
}

/* Maps everything free within reach of the code, so that nobody can place anything there. */
static void fill(void) {
    unsigned long code = (unsigned long)answer & -4096ul, low = code < reach + lowest ? lowest : code - reach, high = code + reach;
    unsigned long gaps[512][2], end = low;
    int count = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) && count < 511) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx", &from, &to) != 2 || to <= low)
            continue;
        if (from > end) {
            gaps[count][0] = end;
            gaps[count++][1] = from < high ? from : high;
        }
        end = to;
        if (from > high)
            break;
    }
    fclose(maps);
    for (int i = 0; i < count; i++)
        occupy(gaps[i][0], gaps[i][1]);
    if (end < high)
        occupy(end, high);
}

void ask(const char *line, char *out, size_t size) {
    if (!strcmp(line, "fill"))
        fill();
    else
        snprintf(out, size, "%ld", answer(atol(line)));
}
