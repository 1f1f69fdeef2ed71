#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
long answer(long x);
static atomic_long calls, wrong;
static atomic_int running, left;
static void *call(void *unused) {
    while (running) {
        long got = answer(40);
        calls++;
        if (got != 41 && got != 42)
            wrong++;
    }
    left--;
    return unused;
}
/* "start"; "stop" tells calls and wrong answers; anything else the latter. */
void ask(const char *line, char *out, size_t size) {
    pthread_t thread;
    if (!strcmp(line, "start")) {
        running = 1;
        for (left = 0; left < 2; left++) {
            pthread_create(&thread, NULL, call, NULL);
            pthread_detach(thread);
        }
    } else if (strcmp(line, "stop")) {
        snprintf(out, size, "%ld", wrong);
    } else {
        running = 0;
        while (left)
            usleep(1000);
        snprintf(out, size, "%ld %ld", calls, wrong);
    }
}
