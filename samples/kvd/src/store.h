/*
 * The keys and values: shards, each a hash table under a read-write lock. All functions may be
 * called from any thread.
 */
#ifndef KVD_STORE_H
#define KVD_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "slice.h"

struct reply;

enum store_status {
    STORE_OK,
    STORE_NOT_FOUND,
    STORE_NOT_A_NUMBER,
    STORE_OUT_OF_RANGE,
    STORE_NO_MEMORY,
};

void store_open(void);
void store_close(void);

/* `ttl` is in seconds; 0 keeps the key for ever. */
enum store_status store_put(struct slice key, struct slice value, uint32_t ttl);
enum store_status store_expire(struct slice key, uint32_t ttl);

/* Appends the value to the reply while the shard is locked, so that it is never half of two. */
enum store_status store_get(struct slice key, struct reply *reply);

/* Seconds that the key has left, rounded up; -1 for a key with no deadline. */
enum store_status store_ttl(struct slice key, int64_t *seconds);
enum store_status store_add(struct slice key, int64_t amount, int64_t *sum);
enum store_status store_remove(struct slice key);

/* Removes what has expired; called by the reaper. Tells how many. */
size_t store_reap(void);
void store_flush(void);
unsigned long store_keys(void);

#endif
