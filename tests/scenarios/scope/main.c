/* Opens the libraries that it is given, `deep` after one with `RTLD_DEEPBIND`, and asks the last one; `step` is exported. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

long step(long x);
long step(long x) { return x + 100; }

int main(int count, char **arguments) {
    char line[256];
    long (*answer)(long) = (long (*)(long))dlsym(RTLD_DEFAULT, "answer");
    for (int at = 1; at < count; at++) {
        int deep = at + 1 < count && !strcmp(arguments[at + 1], "deep");
        void *library = dlopen(arguments[at], RTLD_NOW | RTLD_LOCAL | (deep ? RTLD_DEEPBIND : 0));
        answer = library ? (long (*)(long))dlsym(library, "answer") : NULL;
        at += deep;
    }
    puts(answer ? "ready" : dlerror());
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        printf("%ld\n", answer(atol(line)));
        fflush(stdout);
    }
    return 0;
}
