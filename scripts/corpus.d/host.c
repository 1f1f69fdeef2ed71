/* A process that has a library loaded, with all its symbols bound. */
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count != 2 || !dlopen(words[1], RTLD_NOW | RTLD_GLOBAL)) {
        fprintf(stderr, "%s\n", count == 2 ? dlerror() : "usage: host LIBRARY");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}
