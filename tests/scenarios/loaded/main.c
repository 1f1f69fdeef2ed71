/* Loads the library that it is given, in a name space of its own if it is told so; `expect N` computes here what it should say. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments) {
    char line[256];
    long (*answer)(long) = (long (*)(long))dlsym(RTLD_DEFAULT, "answer");
    if (count > 2) {
        Lmid_t space = strcmp(arguments[2], "namespace") ? LM_ID_BASE : LM_ID_NEWLM;
        void *library = dlmopen(space, arguments[1], RTLD_NOW);
        answer = library ? (long (*)(long))dlsym(library, "answer") : NULL;
    }
    puts(answer ? "ready" : dlerror());
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        long seed;
        if (sscanf(line, "expect %ld", &seed) == 1) {
            srand((unsigned)seed);
            printf("%d\n", rand());
        } else {
            printf("%ld\n", answer(atol(line)));
        }
        fflush(stdout);
    }
    return 0;
}
