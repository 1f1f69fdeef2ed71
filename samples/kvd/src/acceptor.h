/* The thread that accepts clients and hands them to the workers in turn. */
#ifndef KVD_ACCEPTOR_H
#define KVD_ACCEPTOR_H

#include <pthread.h>

struct worker;

struct acceptor {
    pthread_t thread;
    int listener;
    int tick; /* timerfd: log the statistics */
    int stop;
    struct worker *workers;
    unsigned worker_count;
};

/* A socket that listens on the address; ends the program when it cannot. `port` may be 0. */
int acceptor_listen(const char *address, unsigned short port);
unsigned short acceptor_port(int listener);

/* Takes over the listener. The fields from `stop` on must be set. */
void acceptor_start(struct acceptor *acceptor, int listener, int statistics_ms);
void acceptor_join(struct acceptor *acceptor);

#endif
