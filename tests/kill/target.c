/* The process whose patching is interrupted.
 *
 *     target THREADS [CONFINEMENT]
 *
 * It confines itself as `confine.h` says before it is ready.
 *
 * The first thread answers commands; with more threads, one calls the functions all the time and the others sleep in
 * five kinds of system calls.
 *
 *     ask       what `one`, `two` and `three` return
 *     report    calls made by the worker, wrong results it saw, EINTRs that sleepers saw, signals handled
 */
#include "confine.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

int one(int x), two(int x), three(int x);

enum { STACK = 64 << 10, DEPTH = 8 };
static atomic_long calls, wrong, interrupted, handled, started;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static void handle(int signal) { handled += signal == SIGUSR1; }

static int is_answer(int result, int x) { return result == x + 1000 || result == x + 2000; }

static void *work(void *unused) {
    started++;
    for (int x = 0;; x++) {
        wrong += !is_answer(one(x), x) + !is_answer(two(x), x) + !is_answer(three(x), x);
        calls++;
        usleep(500);
    }
    return unused;
}

static void sleep_forever(int kind) {
    struct epoll_event event;
    struct timespec hour = {3600, 0};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR2);
    int set = epoll_create1(EPOLL_CLOEXEC);
    started++;
    for (;;) {
        int result = 0;
        switch (kind) {
        case 0: result = epoll_wait(set, &event, 1, -1); break;
        case 1: result = sigtimedwait(&signals, NULL, &hour); break;
        case 2: result = nanosleep(&hour, NULL); break;
        case 3: result = poll(NULL, 0, -1); break;
        default:
            pthread_mutex_lock(&lock);
            pthread_cond_wait(&never, &lock);
            pthread_mutex_unlock(&lock);
        }
        interrupted += result < 0 && errno == EINTR;
    }
}

static int deep(int depth, int kind) {
    volatile char pad[48];
    pad[0] = (char)depth;
    if (depth)
        return deep(depth - 1, kind) + pad[0];
    sleep_forever(kind);
    return 0;
}

static void *sleep_deep(void *kind) {
    deep(DEPTH, (int)(long)kind);
    return NULL;
}

static void start(void *(*body)(void *), void *argument) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    if (pthread_create(&thread, &attributes, body, argument)) {
        perror("pthread_create");
        exit(1);
    }
}

int main(int argc, char **argv) {
    char line[64];
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    if (threads > 1)
        start(work, NULL);
    for (long i = 2; i < threads; i++)
        start(sleep_deep, (void *)(i % 5));
    // What follows may be forbidden to threads that only just start.
    while (started < threads - 1)
        usleep(1000);
    static char in[4096], out[4096];
    setvbuf(stdin, in, _IOFBF, sizeof in);
    setvbuf(stdout, out, _IOFBF, sizeof out);
    if (argc > 2)
        confine(argv[2]);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (!strncmp(line, "report", 6))
            printf("%ld %ld %ld %ld\n", calls, wrong, interrupted, handled);
        else
            printf("%d %d %d\n", one(40), two(40), three(40));
        fflush(stdout);
    }
    return 0;
}
