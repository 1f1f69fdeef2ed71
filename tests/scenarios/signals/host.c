#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
long answer(long x);
static atomic_long sent, handled, interrupted;
static atomic_int running, finished;
static pthread_t sleeper;

static void handle(int signal) {
    (void)signal;
    handled++;
}

static void *sleep_in_epoll(void *unused) {
    struct epoll_event event;
    sigset_t none;
    int set = epoll_create1(0);
    sigemptyset(&none);
    for (;;)
        if (epoll_pwait(set, &event, 1, -1, &none) < 0 && errno == EINTR)
            interrupted++;
    return unused;
}

static void *send(void *unused) {
    while (running && interrupted == sent) {
        sent++;
        pthread_kill(sleeper, SIGUSR1);
        /* The next one only when this one has arrived: pending signals of one kind would merge. */
        for (int patience = 100000; interrupted < sent && patience; patience--)
            usleep(20);
    }
    finished = 1;
    return unused;
}

static void start(void) {
    struct sigaction action = {.sa_handler = handle};
    pthread_t sender;
    sigset_t user;
    sigemptyset(&user);
    sigaddset(&user, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &user, NULL);
    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&sleeper, NULL, sleep_in_epoll, NULL);
    running = 1;
    pthread_create(&sender, NULL, send, NULL);
    pthread_detach(sender);
}

void ask(const char *line, char *out, size_t size) {
    if (!strcmp(line, "start")) {
        start();
    } else if (!strcmp(line, "stop")) {
        running = 0;
        while (!finished)
            usleep(1000);
        snprintf(out, size, "%ld %ld %ld", sent, handled, interrupted);
    } else {
        snprintf(out, size, "%ld", answer(atol(line)));
    }
}
