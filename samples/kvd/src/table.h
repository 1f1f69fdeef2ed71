/*
 * A hash table of keys to entries, chained, doubling as it fills. Not locked: its owner is.
 */
#ifndef KVD_TABLE_H
#define KVD_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slice.h"

struct entry {
    struct entry *next;
    uint64_t hash;
    int64_t deadline; /* of clock_ms; NEVER for none */
    struct slice key; /* points behind the entry itself */
    char *value;
    size_t value_length;
};

#define NEVER INT64_MAX

struct table {
    struct entry **buckets;
    size_t bucket_count; /* a power of two, or 0 before the first insertion */
    size_t entries;
};

uint64_t table_hash(struct slice key);
struct entry *table_find(const struct table *table, struct slice key, uint64_t hash);

/* Finds the entry or makes one with no value. NULL when there is no memory. */
struct entry *table_insert(struct table *table, struct slice key, uint64_t hash);
bool table_remove(struct table *table, struct slice key, uint64_t hash);

/* Removes the entries that `doomed` accepts; tells how many. */
size_t table_sweep(struct table *table, bool (*doomed)(const struct entry *entry, const void *context),
                   const void *context);
void table_clear(struct table *table);

#endif
