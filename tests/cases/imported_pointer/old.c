// The address of a function that the program has only called, and not yet: the slot of its calls still leads to the loader.
//#ExpectBefore: 41
//#ExpectOutput: 42
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
long answer(long x) {
    if (x < 0)
        return rand();
    return x + 1;
}
