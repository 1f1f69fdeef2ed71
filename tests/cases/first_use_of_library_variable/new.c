#include <stdio.h>
#include <unistd.h>
extern char **environ;
extern int optind;
__attribute__((noinline)) static long opened(FILE *file) { return fileno(file); }
long answer(long x) {
    char *words[] = {"a", "b", "c"};
    if (words[optind][0] != 'b')
        return -1;
    return x + 1 + opened(stderr) + 2 * opened(stdout) + (environ && environ[0] ? 1000 : 0);
}
