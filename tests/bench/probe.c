/* A process that sees from inside how long it stood still.
 *
 *     probe THREADS
 *
 * One thread spins, calling `answer` and noting the longest gap between two of its steps; the others
 * sleep in four kinds of system calls, twenty frames deep; the first reads commands:
 *
 *     reset     forgets the gap and the count of EINTR
 *     report    longest gap (ns), last answer, number of EINTR that sleepers saw, wrong answers
 *     cost      picoseconds per call of `answer` */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int answer(int x);

enum { STACK = 128 << 10, DEPTH = 20, QUESTION = 40, CALLS = 20000000 };
static atomic_uint_fast64_t longest;
static atomic_int last, interrupted, wrong, pause_spinning;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void *spin(void *unused) {
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    pthread_setaffinity_np(pthread_self(), sizeof first, &first);
    for (uint64_t before = now();;) {
        int result = answer(QUESTION);
        if (result != QUESTION + 1 && result != QUESTION + 2)
            wrong++;
        atomic_store_explicit(&last, result, memory_order_relaxed);
        uint64_t after = now(), gap = after - before;
        before = after;
        if (gap > atomic_load_explicit(&longest, memory_order_relaxed))
            atomic_store_explicit(&longest, gap, memory_order_relaxed);
        while (atomic_load_explicit(&pause_spinning, memory_order_relaxed)) {
            usleep(1000);
            before = now();
        }
    }
    return unused;
}

static void sleep_forever(int kind) {
    struct epoll_event event;
    struct timespec hour = {3600, 0};
    int set = epoll_create1(0), ends[2], word = 0;
    if (pipe(ends))
        abort();
    for (;;) {
        long result = 0;
        switch (kind % 4) {
        case 0: result = epoll_wait(set, &event, 1, -1); break;
        case 1: result = nanosleep(&hour, NULL); break;
        case 2: result = read(ends[0], &event, 1); break;
        case 3: result = syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0); break;
        }
        if (result < 0 && errno == EINTR)
            interrupted++;
    }
}

static int deep(int depth, int kind) {
    volatile char pad[256];
    pad[0] = (char)depth;
    if (depth)
        return deep(depth - 1, kind) + pad[0];
    sleep_forever(kind);
    return 0;
}

static void *sleep_deep(void *kind) { return (void *)(intptr_t)deep(DEPTH, (int)(intptr_t)kind); }

static void start(void *(*body)(void *), intptr_t argument) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    if (pthread_create(&thread, &attributes, body, (void *)argument)) {
        perror("pthread_create");
        exit(1);
    }
}

static long cost(void) {
    int x = 0;
    pause_spinning = 1;
    usleep(5000);
    uint64_t begin = now();
    for (int i = 0; i < CALLS; i++)
        x = answer(x & 63);
    uint64_t end = now();
    pause_spinning = 0;
    return (end - begin) * 1000 / CALLS;
}

int main(int count, char **arguments) {
    int threads = count > 1 ? atoi(arguments[1]) : 2;
    char line[64];
    start(spin, 0);
    for (int i = 0; i < threads - 2; i++)
        start(sleep_deep, i);
    usleep(200000);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (!strcmp(line, "reset")) {
            longest = 0;
            interrupted = 0;
            puts("done");
        } else if (!strcmp(line, "report")) {
            printf("%lu %d %d %d\n", (unsigned long)longest, last, interrupted, wrong);
        } else if (!strcmp(line, "cost")) {
            printf("%ld\n", cost());
        }
        fflush(stdout);
    }
    return 0;
}
