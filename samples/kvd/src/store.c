#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "counters.h"
#include "log.h"
#include "reply.h"
#include "table.h"

#define SHARDS 16
#define NUMBER_SIZE 24 /* of the decimal digits of an int64_t */

struct shard {
    pthread_rwlock_t lock;
    struct table table;
};

/* A key with its hash and the shard that they lead to. */
struct place {
    struct slice key;
    uint64_t hash;
    struct shard *shard;
};

static struct shard shards[SHARDS];

void store_open(void)
{
    for (size_t i = 0; i < SHARDS; i++)
        if (pthread_rwlock_init(&shards[i].lock, NULL) != 0)
            die("pthread_rwlock_init");
    gauge_register("keys", store_keys);
}

void store_close(void)
{
    store_flush();
    for (size_t i = 0; i < SHARDS; i++)
        pthread_rwlock_destroy(&shards[i].lock);
}

/* The table uses the low bits of the hash, the shards the high ones. */
static struct place locate(struct slice key)
{
    uint64_t hash = table_hash(key);
    return (struct place){key, hash, &shards[(hash >> 32) % SHARDS]};
}

/* When a key that has `ttl` seconds to live ends. */
static int64_t deadline_after(uint32_t ttl)
{
    if (ttl == 0)
        return NEVER;
    return clock_ms() + ttl * 1000;
}

static bool expired(const struct entry *entry, int64_t now)
{
    return entry->deadline <= now;
}

/* The entry unless it has expired; the reaper takes it away later. The shard must be locked. */
static struct entry *find_live(const struct place *place)
{
    struct entry *entry = table_find(&place->shard->table, place->key, place->hash);
    return entry != NULL && !expired(entry, clock_ms()) ? entry : NULL;
}

static enum store_status set_value(struct entry *entry, const char *value, size_t length)
{
    char *copy = malloc(length ? length : 1);
    if (copy == NULL)
        return STORE_NO_MEMORY;
    memcpy(copy, value, length);
    free(entry->value);
    entry->value = copy;
    entry->value_length = length;
    return STORE_OK;
}

/* Finds or makes the entry and gives it a value; makes no entry when there is no memory for it. */
static enum store_status insert_value(const struct place *place, const char *value, size_t length, int64_t deadline)
{
    struct entry *entry = table_insert(&place->shard->table, place->key, place->hash);
    if (entry == NULL)
        return STORE_NO_MEMORY;
    enum store_status status = set_value(entry, value, length);
    if (status == STORE_OK)
        entry->deadline = deadline;
    else if (entry->value == NULL)
        table_remove(&place->shard->table, place->key, place->hash);
    return status;
}

enum store_status store_put(struct slice key, struct slice value, uint32_t ttl)
{
    struct place place = locate(key);
    COUNT(writes);
    pthread_rwlock_wrlock(&place.shard->lock);
    enum store_status status = insert_value(&place, value.data, value.length, deadline_after(ttl));
    pthread_rwlock_unlock(&place.shard->lock);
    return status;
}

enum store_status store_expire(struct slice key, uint32_t ttl)
{
    struct place place = locate(key);
    COUNT(writes);
    pthread_rwlock_wrlock(&place.shard->lock);
    struct entry *entry = find_live(&place);
    if (entry != NULL)
        entry->deadline = deadline_after(ttl);
    pthread_rwlock_unlock(&place.shard->lock);
    return entry != NULL ? STORE_OK : STORE_NOT_FOUND;
}

enum store_status store_get(struct slice key, struct reply *reply)
{
    struct place place = locate(key);
    COUNT(reads);
    pthread_rwlock_rdlock(&place.shard->lock);
    const struct entry *entry = find_live(&place);
    if (entry != NULL)
        reply_blob(reply, (struct slice){entry->value, entry->value_length});
    pthread_rwlock_unlock(&place.shard->lock);
    if (entry == NULL)
        return STORE_NOT_FOUND;
    COUNT(hits);
    return STORE_OK;
}

enum store_status store_ttl(struct slice key, int64_t *seconds)
{
    struct place place = locate(key);
    COUNT(reads);
    pthread_rwlock_rdlock(&place.shard->lock);
    const struct entry *entry = find_live(&place);
    int64_t deadline = entry != NULL ? entry->deadline : 0;
    pthread_rwlock_unlock(&place.shard->lock);
    if (entry == NULL)
        return STORE_NOT_FOUND;
    *seconds = deadline == NEVER ? -1 : (deadline - clock_ms() + 999) / 1000;
    return STORE_OK;
}

/* The number that a value spells, all of it. */
static bool read_number(const struct entry *entry, int64_t *number)
{
    char text[NUMBER_SIZE];
    if (entry->value_length == 0 || entry->value_length >= sizeof(text))
        return false;
    memcpy(text, entry->value, entry->value_length);
    text[entry->value_length] = '\0';
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return *end == '\0' && errno == 0;
}

static enum store_status add_locked(const struct place *place, int64_t amount, int64_t *sum)
{
    char text[NUMBER_SIZE];
    int64_t deadline = NEVER;
    const struct entry *entry = find_live(place);
    *sum = 0;
    if (entry != NULL && !read_number(entry, sum))
        return STORE_NOT_A_NUMBER;
    if (entry != NULL)
        deadline = entry->deadline;
    if (__builtin_add_overflow(*sum, amount, sum))
        return STORE_OUT_OF_RANGE;
    int length = snprintf(text, sizeof(text), "%lld", (long long)*sum);
    return insert_value(place, text, (size_t)length, deadline);
}

enum store_status store_add(struct slice key, int64_t amount, int64_t *sum)
{
    struct place place = locate(key);
    COUNT(writes);
    pthread_rwlock_wrlock(&place.shard->lock);
    enum store_status status = add_locked(&place, amount, sum);
    pthread_rwlock_unlock(&place.shard->lock);
    return status;
}

enum store_status store_remove(struct slice key)
{
    struct place place = locate(key);
    COUNT(writes);
    pthread_rwlock_wrlock(&place.shard->lock);
    bool found = find_live(&place) != NULL;
    table_remove(&place.shard->table, key, place.hash);
    pthread_rwlock_unlock(&place.shard->lock);
    return found ? STORE_OK : STORE_NOT_FOUND;
}

static bool expired_at(const struct entry *entry, const void *now)
{
    return expired(entry, *(const int64_t *)now);
}

size_t store_reap(void)
{
    size_t reaped = 0;
    int64_t now = clock_ms();
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_rwlock_wrlock(&shards[i].lock);
        reaped += table_sweep(&shards[i].table, expired_at, &now);
        pthread_rwlock_unlock(&shards[i].lock);
    }
    return reaped;
}

void store_flush(void)
{
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_rwlock_wrlock(&shards[i].lock);
        table_clear(&shards[i].table);
        pthread_rwlock_unlock(&shards[i].lock);
    }
}

unsigned long store_keys(void)
{
    unsigned long keys = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_rwlock_rdlock(&shards[i].lock);
        keys += shards[i].table.entries;
        pthread_rwlock_unlock(&shards[i].lock);
    }
    return keys;
}
