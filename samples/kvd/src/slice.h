/* A run of bytes that belongs to somebody else; not NUL-terminated. */
#ifndef KVD_SLICE_H
#define KVD_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data;
    size_t length;
};

static inline bool slice_equals(struct slice a, struct slice b)
{
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static inline bool slice_is(struct slice a, const char *text)
{
    return slice_equals(a, (struct slice){text, strlen(text)});
}

#endif
