#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
long slow(void);
atomic_int stay, inside;
static void *enter(void *unused) {
    slow();
    return unused;
}
void ask(const char *line, char *out, size_t size) {
    pthread_t thread;
    if (!strcmp(line, "enter")) {
        stay = 1;
        pthread_create(&thread, NULL, enter, NULL);
        pthread_detach(thread);
        while (!inside)
            usleep(1000);
    } else if (!strcmp(line, "leave")) {
        stay = 0;
        while (inside)
            usleep(1000);
    } else {
        snprintf(out, size, "%ld", slow());
    }
}
