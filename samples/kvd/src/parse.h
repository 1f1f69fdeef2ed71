/* From bytes to a request: the words of one line, and the block of data that may follow it. */
#ifndef KVD_PARSE_H
#define KVD_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "slice.h"

struct command;

enum parse_status {
    PARSE_OK,
    PARSE_MORE,     /* the request is not all there yet */
    PARSE_TOO_LONG, /* the line is longer than MAX_LINE; where the next begins cannot be known */
    PARSE_UNKNOWN,
    PARSE_MISSING,
    PARSE_EXTRA,
    PARSE_BAD_NUMBER,
    PARSE_BAD_LENGTH,
    PARSE_BAD_WORD,
    PARSE_BAD_BLOCK,
};

/* The slices point into the input. What the command's signature does not name is unset. */
struct request {
    const struct command *command;
    struct slice word; /* key, token or name */
    struct slice data;
    uint32_t ttl;
    int64_t number;
};

/*
 * Reads one request from the front of the input. `used` is set to the bytes to skip for every
 * status but PARSE_MORE and PARSE_TOO_LONG, so that the stream goes on after a faulty request.
 */
enum parse_status parse_request(struct slice input, struct request *request, size_t *used);

const char *parse_error_text(enum parse_status status);

#endif
