#include "counters.h"

#include <pthread.h>
#include <stddef.h>

#include "log.h"
#include "reply.h"

#define MAX_GAUGES 16

struct gauge {
    const char *name;
    gauge_reader *read;
};

/* Reported fields, in the order of the report. */
static const struct field {
    const char *name;
    size_t offset;
} fields[] = {
    {"accepted", offsetof(struct counters, accepted)},
    {"closed", offsetof(struct counters, closed)},
    {"requests", offsetof(struct counters, requests)},
    {"refused", offsetof(struct counters, refused)},
    {"reads", offsetof(struct counters, reads)},
    {"hits", offsetof(struct counters, hits)},
    {"writes", offsetof(struct counters, writes)},
    {"expired", offsetof(struct counters, expired)},
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

_Thread_local struct counters counters;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct counters *threads;  /* list of those counting now */
static struct counters departed;  /* sum over those that left */
static struct gauge gauges[MAX_GAUGES];
static size_t gauge_count;

static unsigned long *field_of(struct counters *set, const struct field *field)
{
    return (unsigned long *)(void *)((char *)set + field->offset);
}

static unsigned long total(const struct field *field)
{
    unsigned long sum = *field_of(&departed, field);
    for (struct counters *set = threads; set != NULL; set = set->next)
        sum += __atomic_load_n(field_of(set, field), __ATOMIC_RELAXED);
    return sum;
}

void counters_join(void)
{
    pthread_mutex_lock(&lock);
    counters.next = threads;
    threads = &counters;
    pthread_mutex_unlock(&lock);
}

void counters_leave(void)
{
    pthread_mutex_lock(&lock);
    struct counters **link = &threads;
    while (*link != &counters)
        link = &(*link)->next;
    *link = counters.next;
    for (size_t i = 0; i < FIELDS; i++)
        *field_of(&departed, &fields[i]) += *field_of(&counters, &fields[i]);
    pthread_mutex_unlock(&lock);
}

static struct gauge *find_gauge(struct slice name)
{
    for (size_t i = 0; i < gauge_count; i++)
        if (slice_is(name, gauges[i].name))
            return &gauges[i];
    return NULL;
}

bool gauge_register(const char *name, gauge_reader *read)
{
    pthread_mutex_lock(&lock);
    struct gauge *gauge = find_gauge((struct slice){name, strlen(name)});
    if (gauge == NULL && gauge_count < MAX_GAUGES)
        gauge = &gauges[gauge_count++];
    if (gauge != NULL)
        *gauge = (struct gauge){name, read};
    pthread_mutex_unlock(&lock);
    return gauge != NULL;
}

bool gauge_drop(struct slice name)
{
    pthread_mutex_lock(&lock);
    struct gauge *gauge = find_gauge(name);
    if (gauge != NULL) {
        *gauge = gauges[--gauge_count];
        gauges[gauge_count] = (struct gauge){NULL, NULL};
    }
    pthread_mutex_unlock(&lock);
    return gauge != NULL;
}

void counters_report(struct reply *reply)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < FIELDS; i++)
        reply_format(reply, "%s %lu\n", fields[i].name, total(&fields[i]));
    for (size_t i = 0; i < gauge_count; i++)
        reply_format(reply, "%s %lu\n", gauges[i].name, gauges[i].read());
    pthread_mutex_unlock(&lock);
}

void counters_log(void)
{
    unsigned long sums[FIELDS];
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < FIELDS; i++)
        sums[i] = total(&fields[i]);
    pthread_mutex_unlock(&lock);
    log_line("statistics: %lu accepted, %lu closed, %lu requests, %lu refused, %lu reads, %lu hits, %lu writes, "
             "%lu expired",
             sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7]);
}
