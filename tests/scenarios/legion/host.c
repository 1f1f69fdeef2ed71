/* Ten thousand threads asleep in the kernel. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
long answer(long x);
enum { THREADS = 10000, STACK = 64 << 10 };
static void *sleeper(void *unused) {
    for (;;)
        pause();
    return unused;
}
void ask(const char *line, char *out, size_t size) {
    pthread_attr_t small;
    pthread_t thread;
    if (strcmp(line, "start")) {
        snprintf(out, size, "%ld", answer(atol(line)));
        return;
    }
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    int count = 0;
    while (count < THREADS && !pthread_create(&thread, &small, sleeper, NULL))
        count++;
    snprintf(out, size, "%d", count);
}
