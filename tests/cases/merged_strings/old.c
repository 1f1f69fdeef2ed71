// Strings that the linker merges, one into the end of another.
//#ExpectBefore: 163
//#ExpectOutput: 176
#include <string.h>
__attribute__((noipa)) static long weigh(const char *text) {
    long sum = 0;
    for (; *text; text++)
        sum += *text - 'a' + 1;
    return sum;
}
long answer(long x) { return x + weigh("abcdefgh") + weigh("gh") + weigh("fgh") + weigh("defgh") + weigh("efgh") - 5; }
