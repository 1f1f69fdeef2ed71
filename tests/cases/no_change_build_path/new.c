#include <stdio.h>
#define TEXT(x) TEXT2(x)
#define TEXT2(x) #x
long answer(long x) {
    if (x < 0)
        fprintf(stderr, "%s: negative\n", FROM);
    return x;
}
