/* Four threads fight for the allocator's locks. */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
long answer(long x);
static void *fight(void *unused) {
    for (unsigned seed = 1;; seed = seed * 1103515245 + 12345)
        free(malloc(2000 + seed % 3000));
    return unused;
}
__attribute__((constructor)) static void start(void) {
    pthread_t thread;
    mallopt(M_ARENA_MAX, 1);
    for (int i = 0; i < 2; i++)
        pthread_create(&thread, NULL, fight, NULL);
}
void ask(const char *line, char *out, size_t size) { snprintf(out, size, "%ld", answer(atol(line))); }
