/*
 * What the server counts. Each thread counts in its own thread-local structure, with no lock and
 * no shared cache line; a report adds them up. Gauges are values that are asked for at report
 * time, through a call-back.
 */
#ifndef KVD_COUNTERS_H
#define KVD_COUNTERS_H

#include <stdbool.h>

#include "slice.h"

struct reply;

struct counters {
    unsigned long accepted;
    unsigned long closed;
    unsigned long requests;
    unsigned long refused;
    unsigned long reads;
    unsigned long hits;
    unsigned long writes;
    unsigned long expired;
    struct counters *next;
};

extern _Thread_local struct counters counters;

/* Relaxed: other threads read the counters while this one counts. */
#define COUNT(field) __atomic_fetch_add(&counters.field, 1, __ATOMIC_RELAXED)

/* Every thread that counts calls these at its begin and end. */
void counters_join(void);
void counters_leave(void);

typedef unsigned long gauge_reader(void);

/*
 * Adds a gauge; a gauge of the same name is replaced. `name` must stay valid until it is dropped.
 * False when the table is full.
 */
bool gauge_register(const char *name, gauge_reader *read);
bool gauge_drop(struct slice name);

/* Appends `name value` lines. */
void counters_report(struct reply *reply);
/* The same in short, to the log. */
void counters_log(void);

#endif
