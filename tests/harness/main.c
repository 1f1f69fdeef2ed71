/* The process that every case patches: five threads, four of them asleep in the kernel at the end of a
 * chain of calls. A line on stdin is handed to the worker thread, which lets the case answer it on stdout.
 * The line "eintr" is answered here, with the number of EINTRs that the sleepers have seen; "scrub" clears the
 * worker's stack. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* Given by the case (`host.c`, or `harness/host.c`): writes the answer to `line` into `out`. */
void ask(const char *line, char *out, size_t size);

enum { STACK = 256 << 10, DEPTH = 8 };
static atomic_int eintr;
static char line[256], answer[4096];
static int to_worker[2], from_worker[2];

static void must(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void sleep_in_epoll(void) {
    struct epoll_event event;
    int set = epoll_create1(0);
    for (;;)
        if (epoll_wait(set, &event, 1, -1) < 0 && errno == EINTR)
            eintr++;
}

static void sleep_in_sigtimedwait(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR2);
    for (struct timespec hour = {3600, 0};;)
        if (sigtimedwait(&signals, NULL, &hour) < 0 && errno == EINTR)
            eintr++;
}

static void sleep_in_nanosleep(void) {
    for (struct timespec hour = {3600, 0};;)
        if (nanosleep(&hour, NULL) < 0 && errno == EINTR)
            eintr++;
}

/* Frames to unwind; `pad` differs in size from the case's own frames. */
static int deep(int depth, void (*sleeper)(void)) {
    volatile char pad[48];
    pad[0] = (char)depth;
    if (depth)
        return deep(depth - 1, sleeper) + pad[0];
    sleeper();
    return 0;
}

/* Functions called on this thread may allocate: what the allocator keeps for a thread is there from the start. */
static void allocate(void) {
    void *volatile some = malloc(1);
    free(some);
}

static void *sleep_deep(void *sleeper) {
    allocate();
    deep(DEPTH, (void (*)(void))sleeper);
    return NULL;
}

/* Overwrites what earlier calls left on this thread's stack. */
__attribute__((noinline)) static void scrub(void) {
    volatile char room[64 << 10];
    for (size_t i = 0; i < sizeof room; i++)
        room[i] = 0;
}

static void *work(void *unused) {
    char byte;
    allocate();
    while (read(to_worker[0], &byte, 1) == 1) {
        answer[0] = 0;
        if (!strcmp(line, "scrub"))
            scrub();
        else
            ask(line, answer, sizeof answer);
        must(write(from_worker[1], "", 1) == 1, "write");
    }
    return unused;
}

static void start(void *(*body)(void *), void *argument) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    must(pthread_create(&thread, &attributes, body, argument) == 0, "pthread_create");
}

int main(void) {
    char byte;
    must(pipe(to_worker) == 0 && pipe(from_worker) == 0, "pipe");
    start(work, NULL);
    start(sleep_deep, (void *)sleep_in_epoll);
    start(sleep_deep, (void *)sleep_in_sigtimedwait);
    start(sleep_deep, (void *)sleep_in_nanosleep);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (!strcmp(line, "eintr")) {
            printf("%d\n", eintr);
        } else {
            must(write(to_worker[1], "", 1) == 1 && read(from_worker[0], &byte, 1) == 1, "worker");
            puts(answer);
        }
        fflush(stdout);
    }
    return 0;
}
