#include "table.h"

#include <stdlib.h>

#define FIRST_BUCKETS 64

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
uint64_t table_hash(struct slice key)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < key.length; i++)
        hash = (hash ^ (unsigned char)key.data[i]) * 0x100000001b3u;
    return hash;
}

static struct entry **bucket_of(const struct table *table, uint64_t hash)
{
    return &table->buckets[hash & (table->bucket_count - 1)];
}

/* The link that holds the entry, or NULL. */
static struct entry **find_link(const struct table *table, struct slice key, uint64_t hash)
{
    if (table->bucket_count == 0)
        return NULL;
    struct entry **link = bucket_of(table, hash);
    while (*link != NULL && !((*link)->hash == hash && slice_equals((*link)->key, key)))
        link = &(*link)->next;
    return *link != NULL ? link : NULL;
}

struct entry *table_find(const struct table *table, struct slice key, uint64_t hash)
{
    struct entry **link = find_link(table, key, hash);
    return link != NULL ? *link : NULL;
}

static void free_entry(struct entry *entry)
{
    free(entry->value);
    free(entry);
}

/* A table that cannot grow still works, only slower: failure is no error then. */
static bool grow(struct table *table)
{
    size_t count = table->bucket_count ? table->bucket_count * 2 : FIRST_BUCKETS;
    struct entry **buckets = calloc(count, sizeof(struct entry *));
    if (buckets == NULL)
        return table->bucket_count != 0;
    struct table bigger = {buckets, count, table->entries};
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct entry *entry = table->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            struct entry **bucket = bucket_of(&bigger, entry->hash);
            entry->next = *bucket;
            *bucket = entry;
        }
    }
    free(table->buckets);
    *table = bigger;
    return true;
}

static struct entry *make_entry(struct slice key, uint64_t hash)
{
    struct entry *entry = malloc(sizeof(*entry) + key.length);
    if (entry == NULL)
        return NULL;
    char *copy = (char *)(entry + 1);
    memcpy(copy, key.data, key.length);
    *entry = (struct entry){.hash = hash, .deadline = NEVER, .key = {copy, key.length}};
    return entry;
}

struct entry *table_insert(struct table *table, struct slice key, uint64_t hash)
{
    struct entry *entry = table_find(table, key, hash);
    if (entry != NULL)
        return entry;
    if (table->entries >= table->bucket_count && !grow(table))
        return NULL;
    entry = make_entry(key, hash);
    if (entry == NULL)
        return NULL;
    struct entry **bucket = bucket_of(table, hash);
    entry->next = *bucket;
    *bucket = entry;
    table->entries++;
    return entry;
}

static void unlink_entry(struct table *table, struct entry **link)
{
    struct entry *entry = *link;
    *link = entry->next;
    table->entries--;
    free_entry(entry);
}

bool table_remove(struct table *table, struct slice key, uint64_t hash)
{
    struct entry **link = find_link(table, key, hash);
    if (link == NULL)
        return false;
    unlink_entry(table, link);
    return true;
}

size_t table_sweep(struct table *table, bool (*doomed)(const struct entry *entry, const void *context),
                   const void *context)
{
    size_t before = table->entries;
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct entry **link = &table->buckets[i];
        while (*link != NULL) {
            if (doomed(*link, context))
                unlink_entry(table, link);
            else
                link = &(*link)->next;
        }
    }
    return before - table->entries;
}

static bool everything(const struct entry *entry, const void *context)
{
    (void)entry;
    (void)context;
    return true;
}

void table_clear(struct table *table)
{
    table_sweep(table, everything, NULL);
    free(table->buckets);
    *table = (struct table){0};
}
