/* A program of one thread: it waits for questions in poll, after "hold" in ppoll with SIGUSR1 kept back, and for
 * "sleep MILLISECONDS" in nanosleep. It tells how often a wait ended with EINTR. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

long answer(long question);

static int eintr;

/* A line may come in pieces. */
static void wait_for_line(char *line, size_t size) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    for (size_t len = 0; len + 1 < size; len++) {
        int some;
        while ((some = poll(&input, 1, 3600000)) <= 0)
            eintr += some < 0 && errno == EINTR;
        if (read(0, line + len, 1) != 1)
            exit(0);
        if (line[len] == '\n') {
            line[len] = 0;
            return;
        }
    }
    exit(1);
}

static void nothing(int signal) { (void)signal; }

static void hold(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    sigset_t kept;
    signal(SIGUSR1, nothing);
    sigemptyset(&kept);
    sigaddset(&kept, SIGUSR1);
    eintr += ppoll(&input, 1, NULL, &kept) < 0 && errno == EINTR;
}

/* Sleeps, and says for how long. */
static long slept(long milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000}, begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    eintr += nanosleep(&time, NULL) < 0 && errno == EINTR;
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
}

__attribute__((constructor)) static void serve(void) {
    char line[256];
    for (puts("ready");;) {
        fflush(stdout);
        wait_for_line(line, sizeof line);
        if (!strncmp(line, "eintr", 5))
            printf("%d\n", eintr);
        else if (!strncmp(line, "hold", 4))
            hold();
        else if (!strncmp(line, "sleep ", 6))
            printf("%ld\n", slept(atol(line + 6)));
        else
            printf("%ld\n", answer(atol(line)));
    }
}

void ask(const char *line, char *out, size_t size) { snprintf(out, size, "%s", line); }
