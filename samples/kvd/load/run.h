/* The load: many connections, each a closed loop of verified requests. */
#ifndef LOAD_RUN_H
#define LOAD_RUN_H

#include "client.h"

struct run_options {
    unsigned connections;
    unsigned threads;
    unsigned seconds;  /* 0: until SIGINT or SIGTERM */
    unsigned min_rate; /* requests a second over the whole run */
};

/* Prints the figures; returns the exit status. */
int run_load(const struct server *server, const struct run_options *options);

#endif
