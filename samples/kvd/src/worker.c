#include "worker.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "conn.h"
#include "counters.h"
#include "limits.h"
#include "log.h"
#include "timer.h"

#define SLOTS 256
#define QUEUE 64
#define EVENTS 32

struct slot {
    struct conn conn;
    struct slot *next_free;
    bool used;
};

static void close_slot(struct worker *worker, struct slot *slot)
{
    conn_close(&slot->conn);
    slot->used = false;
    slot->next_free = worker->free_slots;
    worker->free_slots = slot;
}

static void open_slot(struct worker *worker, int socket)
{
    struct slot *slot = worker->free_slots;
    if (slot == NULL) {
        close(socket);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = slot};
    if (epoll_ctl(worker->epoll, EPOLL_CTL_ADD, socket, &event) != 0) {
        log_failure("epoll_ctl");
        close(socket);
        return;
    }
    worker->free_slots = slot->next_free;
    slot->used = true;
    conn_open(&slot->conn, socket, worker->slab + (size_t)(slot - worker->slots) * INPUT_SIZE);
}

bool worker_take(struct worker *worker, int socket)
{
    pthread_mutex_lock(&worker->queue_lock);
    bool taken = worker->queue_length < QUEUE;
    if (taken)
        worker->queue[worker->queue_length++] = socket;
    pthread_mutex_unlock(&worker->queue_lock);
    if (taken)
        eventfd_write(worker->wake, 1);
    return taken;
}

static void empty_queue(struct worker *worker)
{
    int sockets[QUEUE];
    eventfd_t wakes;
    eventfd_read(worker->wake, &wakes);
    pthread_mutex_lock(&worker->queue_lock);
    size_t length = worker->queue_length;
    memcpy(sockets, worker->queue, length * sizeof(int));
    worker->queue_length = 0;
    pthread_mutex_unlock(&worker->queue_lock);
    for (size_t i = 0; i < length; i++)
        open_slot(worker, sockets[i]);
}

static void close_idle(struct worker *worker)
{
    timer_read(worker->tick);
    int64_t oldest = clock_ms() - (int64_t)worker->idle_seconds * 1000;
    for (size_t i = 0; i < SLOTS; i++)
        if (worker->slots[i].used && worker->slots[i].conn.last_active < oldest)
            close_slot(worker, &worker->slots[i]);
}

/* False when the worker is to end. */
static bool handle(struct worker *worker, const struct epoll_event *event)
{
    void *source = event->data.ptr;
    if (source == &worker->stop)
        return false;
    if (source == &worker->wake) {
        empty_queue(worker);
    } else if (source == &worker->tick) {
        close_idle(worker);
    } else {
        struct slot *slot = source;
        /* An event of the same batch may have closed it. */
        if (slot->used && !conn_ready(&slot->conn))
            close_slot(worker, slot);
    }
    return true;
}

static void serve_until_stopped(struct worker *worker)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(worker->epoll, events, EVENTS, -1);
        if (count < 0 && errno != EINTR)
            log_failure("epoll_wait");
        for (int i = 0; i < count; i++)
            if (!handle(worker, &events[i]))
                return;
    }
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    counters_join();
    serve_until_stopped(worker);
    for (size_t i = 0; i < SLOTS; i++)
        if (worker->slots[i].used)
            close_slot(worker, &worker->slots[i]);
    counters_leave();
    return NULL;
}

static void watch(const struct worker *worker, const int *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)source};
    if (epoll_ctl(worker->epoll, EPOLL_CTL_ADD, *source, &event) != 0)
        die("epoll_ctl");
}

static void allocate(struct worker *worker)
{
    worker->slots = calloc(SLOTS, sizeof(struct slot));
    worker->queue = calloc(QUEUE, sizeof(int));
    /* One buffer more than there are clients, so that no read of up to MAX_VALUE bytes from inside
     * a client's buffer leaves the slab: the first fix in ../fixes is about such a read, and the
     * sample is to show what it leaks, not to crash. */
    worker->slab = calloc(SLOTS + 1, INPUT_SIZE);
    if (worker->slots == NULL || worker->queue == NULL || worker->slab == NULL)
        die("calloc");
    for (size_t i = SLOTS; i-- > 0;) {
        worker->slots[i].next_free = worker->free_slots;
        worker->free_slots = &worker->slots[i];
    }
}

void worker_start(struct worker *worker, unsigned number, int stop, int idle_seconds)
{
    char name[16];
    *worker = (struct worker){.stop = stop, .idle_seconds = idle_seconds};
    allocate(worker);
    pthread_mutex_init(&worker->queue_lock, NULL);
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    worker->tick = timer_open(1000);
    if (worker->epoll < 0 || worker->wake < 0)
        die("epoll_create1 or eventfd");
    watch(worker, &worker->stop);
    watch(worker, &worker->wake);
    watch(worker, &worker->tick);
    if (pthread_create(&worker->thread, NULL, run, worker) != 0)
        die("pthread_create");
    snprintf(name, sizeof(name), "worker-%u", number);
    pthread_setname_np(worker->thread, name);
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
    for (size_t i = 0; i < worker->queue_length; i++)
        close(worker->queue[i]);
    close(worker->tick);
    close(worker->wake);
    close(worker->epoll);
    pthread_mutex_destroy(&worker->queue_lock);
    free(worker->queue);
    free(worker->slots);
    free(worker->slab);
}
