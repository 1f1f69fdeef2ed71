// The tree lies elsewhere: `__FILE__` in messages differs.
//#ExpectOutput: 40
//#In gcc O0: Patched
//#In c++: Patched
//#Cflags: -O2 -g -DFROM="/build/old/src/patch.c"
//#NewCflags: -O2 -g -DFROM="/home/user/src/patch.c"
//#NoChange
//#ExpectBefore: 40
#include <stdio.h>
#define TEXT(x) TEXT2(x)
#define TEXT2(x) #x
long answer(long x) {
    if (x < 0)
        fprintf(stderr, "%s: negative\n", FROM);
    return x;
}
