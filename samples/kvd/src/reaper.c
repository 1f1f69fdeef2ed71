#include "reaper.h"

#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include "counters.h"
#include "log.h"
#include "store.h"
#include "timer.h"

/* False when the thread is to end. */
static bool wait_for_tick(const struct reaper *reaper)
{
    struct pollfd sources[] = {{.fd = reaper->tick, .events = POLLIN}, {.fd = reaper->stop, .events = POLLIN}};
    poll(sources, 2, -1);
    if (sources[0].revents & POLLIN)
        timer_read(reaper->tick);
    return !(sources[1].revents & POLLIN);
}

static void *run(void *argument)
{
    const struct reaper *reaper = argument;
    counters_join();
    while (wait_for_tick(reaper)) {
        size_t reaped = store_reap();
        __atomic_fetch_add(&counters.expired, reaped, __ATOMIC_RELAXED);
    }
    counters_leave();
    return NULL;
}

void reaper_start(struct reaper *reaper, int period_ms, int stop)
{
    reaper->stop = stop;
    reaper->tick = timer_open(period_ms);
    if (pthread_create(&reaper->thread, NULL, run, reaper) != 0)
        die("pthread_create");
    pthread_setname_np(reaper->thread, "reaper");
}

void reaper_join(struct reaper *reaper)
{
    pthread_join(reaper->thread, NULL);
    close(reaper->tick);
}
