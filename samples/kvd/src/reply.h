/* Bytes on their way to a client: grows as needed, is sent from the front. */
#ifndef KVD_REPLY_H
#define KVD_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "slice.h"

struct reply {
    char *data;
    size_t length;
    size_t capacity;
    size_t sent;
    bool failed; /* memory ran out: the connection must end, for the stream has a hole */
};

void reply_bytes(struct reply *reply, const char *data, size_t length);
void reply_format(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));

void reply_ok(struct reply *reply);
void reply_error(struct reply *reply, const char *text);
void reply_number(struct reply *reply, long long number);
void reply_none(struct reply *reply);
void reply_blob(struct reply *reply, struct slice blob);

/* Sends what the socket takes. False when the connection is broken. */
bool reply_send(struct reply *reply, int socket);
bool reply_pending(const struct reply *reply);
void reply_free(struct reply *reply);

#endif
