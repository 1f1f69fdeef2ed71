/* One client: its socket, the input that has not been read yet, the replies not sent yet. */
#ifndef KVD_CONN_H
#define KVD_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command.h"
#include "reply.h"

struct conn {
    struct session session;
    char *input; /* INPUT_SIZE bytes of the worker's slab; the last client's bytes are still there */
    size_t input_length;
    struct reply reply;
    int64_t last_active;
    unsigned long id;
};

void conn_open(struct conn *conn, int socket, char *input);

/* Reads, serves and writes as far as the socket goes. False when the connection is over. */
bool conn_ready(struct conn *conn);
void conn_close(struct conn *conn);

#endif
