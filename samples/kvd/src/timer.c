#include "timer.h"

#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "log.h"

int timer_open(int period_ms)
{
    struct timespec period = {period_ms / 1000, period_ms % 1000 * 1000000L};
    struct itimerspec setting = {.it_interval = period, .it_value = period};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer < 0 || timerfd_settime(timer, 0, &setting, NULL) != 0)
        die("timerfd");
    return timer;
}

void timer_read(int timer)
{
    uint64_t expirations;
    ssize_t got = read(timer, &expirations, sizeof(expirations));
    (void)got; /* nothing to read: it has been done already */
}
