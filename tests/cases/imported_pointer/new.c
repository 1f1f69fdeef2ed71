#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
long answer(long x) {
    if (x < 0)
        return labs(x);
    return (void *)dlsym(RTLD_DEFAULT, "labs") == (void *)labs ? x + 2 : -1;
}
