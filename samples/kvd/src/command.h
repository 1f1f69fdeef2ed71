/* The table of commands and what runs them. */
#ifndef KVD_COMMAND_H
#define KVD_COMMAND_H

#include <stdbool.h>

#include "slice.h"

struct reply;
struct request;

/* What the server remembers about a client from one request to the next. */
struct session {
    int socket;
    bool trusted; /* has shown the token */
    bool ended;   /* has said QUIT */
};

/* Arguments of a command, one character each. */
enum signature {
    SIGNATURE_WORD = 'w',
    SIGNATURE_OPTIONAL_WORD = 'o',
    SIGNATURE_TTL = 't',
    SIGNATURE_NUMBER = 'n',
    SIGNATURE_INLINE = 'i',
    SIGNATURE_BLOCK = 'b',
};

struct command {
    const char *name;
    const char *signature;
    void (*run)(struct session *session, const struct request *request, struct reply *reply);
    bool trusted; /* only for clients that have shown the token */
};

/* Case does not matter. NULL when there is no such command. */
const struct command *command_find(struct slice name);

/* Runs a parsed request and appends its reply. */
void command_dispatch(struct session *session, const struct request *request, struct reply *reply);

#endif
