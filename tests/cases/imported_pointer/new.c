#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
long answer(long x) {
    if (x < 0)
        return rand();
    return (void *)dlsym(RTLD_DEFAULT, "rand") == (void *)rand ? x + 2 : -1;
}
