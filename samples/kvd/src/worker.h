/* A worker: a thread with an epoll set and the connections that it serves. */
#ifndef KVD_WORKER_H
#define KVD_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct slot;

struct worker {
    pthread_t thread;
    int epoll;
    int wake; /* eventfd: the acceptor has put a socket into the queue */
    int tick; /* timerfd: look for idle connections */
    int stop; /* eventfd shared by all threads */
    int idle_seconds;
    struct slot *slots;
    struct slot *free_slots;
    char *slab; /* input buffers of the slots */
    pthread_mutex_t queue_lock;
    int *queue;
    size_t queue_length;
};

/* Starts the thread; ends the program when it cannot. */
void worker_start(struct worker *worker, unsigned number, int stop, int idle_seconds);

/* Hands over a connected, non-blocking socket. False when the worker has no room for it. */
bool worker_take(struct worker *worker, int socket);

/* Waits for the thread, which ends when `stop` becomes readable, and frees what it had. */
void worker_join(struct worker *worker);

#endif
