/*
 * A module with 24 MiB of data, each word of which tells whether it is what it should be.
 *
 * Commands: `check`, `write NUMBER` (another generation of all), `fork` (a child writes to all), `crash`. With -DWIDE the data has
 * another form. -DWRITE_RESTART, -DMEDDLE_VALIDATE and so on make versions that do what they must not.
 */
#include <inttypes.h>
#include <livepatch_module.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 24
#define WORDS (131072 + WIDER)
#ifdef WIDE
#define WIDER 512
#else
#define WIDER 0
#endif

struct narrow {
    uint64_t generation, words;
    uint64_t *blocks[BLOCKS];
};

struct wide {
    struct narrow was;
};

#define NARROW LP_SCHEMA(1, struct narrow)
#define WIDE_ LP_SCHEMA(2, struct wide)
#ifdef WIDE
#define SCHEMA WIDE_
#define OTHER NARROW
#else
#define SCHEMA NARROW
#define OTHER WIDE_
#endif

static void fill(struct narrow *data, uint64_t generation) {
    data->generation = generation;
    for (uint64_t block = 0; block < BLOCKS; block++)
        for (uint64_t word = 0; word < data->words; word++)
            data->blocks[block][word] = generation + block * word;
}

static uint64_t wrong(const struct narrow *data) {
    uint64_t count = 0;
    for (uint64_t block = 0; block < BLOCKS; block++)
        for (uint64_t word = 0; word < data->words; word++)
            count += data->blocks[block][word] != data->generation + block * word;
    return count;
}

static lp_result fail(const struct lp_host *host, const char *why) {
    host->fail(host, why, strlen(why));
    return LP_FAILED;
}

static struct narrow *make(const struct lp_host *host, uint64_t generation) {
    struct narrow *data = host->alloc(host, sizeof *data, 8);
    if (!data)
        return NULL;
    data->words = WORDS;
    for (int block = 0; block < BLOCKS; block++)
        if (!(data->blocks[block] = host->alloc(host, WORDS * sizeof(uint64_t), 8)))
            return NULL;
    fill(data, generation);
    return data;
}

static lp_result init(const struct lp_host *host, void **to) {
    return (*to = make(host, 1)) ? LP_OK : fail(host, "no memory");
}

static lp_result quiet(const struct lp_host *host, void *data) {
    (void)host, (void)data;
    return LP_OK;
}

static lp_result restart(const struct lp_host *host, const void *data, uint32_t why) {
    (void)host, (void)why;
    if (wrong(data))
        return fail(host, "the data is wrong");
#ifdef ALLOCATE_RESTART /* what stays */
    memset(host->alloc(host, 100, 8), 1, 100);
#endif
#ifdef FAIL_RESTART
    make(host, 100);
    return fail(host, "as it was made to");
#endif
#ifdef WRITE_RESTART
    ((struct narrow *)(uintptr_t)data)->blocks[12][5] = 0;
#endif
#ifdef CRASH_RESTART
    make(host, 100);
    abort();
#endif
    return LP_OK;
}

static lp_result migrate(const struct lp_host *host, uint64_t from, const void *old, void **to) {
    if (from != OTHER || wrong(old))
        return fail(host, "the old data is wrong");
    return (*to = make(host, ((const struct narrow *)old)->generation)) ? LP_OK : fail(host, "no memory");
}

static lp_result validate(const struct lp_host *host, const void *data) {
#ifdef MEDDLE_VALIDATE
    fill((struct narrow *)(uintptr_t)data, 100);
#endif
    return wrong(data) ? fail(host, "the data is wrong") : LP_OK;
}

static lp_result health(const struct lp_host *host, const void *data) {
    (void)host, (void)data;
    return LP_OK;
}

/* A child that writes to all data. */
static int meddle(struct narrow *data) {
    int status = 1;
    pid_t child = fork();
    if (!child) {
        fill(data, 200);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return status;
}

static lp_result command(const struct lp_host *host, void *data, const struct lp_event *event) {
    char words[64] = {0}, text[96];
    memcpy(words, event->data, event->len < 63 ? event->len : 63);
    int status = 0;
    if (!strncmp(words, "write\n", 6))
        fill(data, strtoull(words + 6, NULL, 10));
    else if (!strcmp(words, "fork"))
        status = meddle(data);
    else if (!strcmp(words, "crash"))
        abort();
    const struct narrow *it = data;
    snprintf(text, sizeof text, VERSION " generation %" PRIu64 " wrong %" PRIu64, it->generation, wrong(it));
    return host->reply(host, event->source, status ? 1 : 0, text, strlen(text));
}

static const struct lp_operations operations = {
    .init = init,
    .term = quiet,
    .hold = quiet,
    .restart = restart,
    .migrate = migrate,
    .validate = validate,
    .health = health,
};

static const struct lp_entry entries[] = {{"command", command}};

LIVEPATCH_MODULE("bulk", VERSION, SCHEMA, operations, entries, OTHER);
