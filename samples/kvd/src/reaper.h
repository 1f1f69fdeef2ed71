/* The background thread that removes expired keys. */
#ifndef KVD_REAPER_H
#define KVD_REAPER_H

#include <pthread.h>

struct reaper {
    pthread_t thread;
    int tick;
    int stop;
};

void reaper_start(struct reaper *reaper, int period_ms, int stop);
void reaper_join(struct reaper *reaper);

#endif
