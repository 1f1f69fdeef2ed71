#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
long answer(long x);
static atomic_long wrong, threads;
static atomic_int running, finished;
static void *once(void *unused) {
    long got = answer(40);
    if (got != 41 && got != 42)
        wrong++;
    threads++;
    return unused;
}
static void *spawn(void *unused) {
    pthread_t many[4];
    while (running) {
        for (int i = 0; i < 4; i++)
            pthread_create(&many[i], NULL, once, NULL);
        for (int i = 0; i < 4; i++)
            pthread_join(many[i], NULL);
    }
    finished = 1;
    return unused;
}
/* "start", "stop"; anything else: how many answers were wrong. "threads": how many there were. */
void ask(const char *line, char *out, size_t size) {
    pthread_t thread;
    if (!strcmp(line, "start")) {
        running = 1;
        pthread_create(&thread, NULL, spawn, NULL);
        pthread_detach(thread);
    } else if (!strcmp(line, "stop")) {
        running = 0;
        while (!finished)
            usleep(1000);
    } else {
        snprintf(out, size, "%ld", strcmp(line, "threads") ? wrong : threads);
    }
}
