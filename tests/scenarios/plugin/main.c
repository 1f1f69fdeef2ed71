/* Loads the library that it is given at the line `load`, and asks it from then on. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments) {
    char line[256];
    long (*answer)(long) = NULL;
    puts("ready");
    fflush(stdout);
    while (count > 1 && fgets(line, sizeof line, stdin)) {
        if (!strcmp(line, "load\n")) {
            void *library = dlopen(arguments[1], RTLD_NOW);
            answer = library ? (long (*)(long))dlsym(library, "answer") : NULL;
            puts(answer ? "loaded" : dlerror());
        } else if (answer) {
            printf("%ld\n", answer(atol(line)));
        } else {
            puts("not loaded");
        }
        fflush(stdout);
    }
    return 0;
}
