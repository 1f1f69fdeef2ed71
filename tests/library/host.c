/* Opens and closes a library on command:
 *
 *     open PATH    says where its first byte is
 *     call N       what its `answer` says
 *     close
 *     block        takes the place where it was, so that it comes back elsewhere
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int main(void) {
    char line[4096];
    void *handle = NULL, *base = NULL;
    long (*answer)(long) = NULL;
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "open ", 5)) {
            Dl_info info;
            handle = dlopen(line + 5, RTLD_NOW);
            answer = handle ? (long (*)(long))dlsym(handle, "answer") : NULL;
            base = answer && dladdr((void *)answer, &info) ? info.dli_fbase : NULL;
            printf("%p\n", base);
        } else if (!strncmp(line, "call ", 5)) {
            printf("%ld\n", answer(atol(line + 5)));
        } else if (!strcmp(line, "close")) {
            printf("%d\n", dlclose(handle));
        } else {
            void *taken = mmap(base, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
            puts(taken == base ? "blocked" : "not blocked");
        }
        fflush(stdout);
    }
    return 0;
}
