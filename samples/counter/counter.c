/*
 * A module in C: it counts numbered datagrams and tells whether any was lost, came twice or out of order.
 *
 *     gcc -shared -fPIC -DVERSION='"1.0.0"' -I livepatch-module/include counter.c -o libcounter_1.0.0.so
 *
 * With -DWIDE its data has another form, to which that of the first form is migrated and back. -DFAIL_…, -DLEAVE_… and so on make
 * versions that fail or leave something behind, for the tests. Messages are numbers, 8 bytes, little endian, from 1. Commands: `open PATH` (or `drop
 * PATH`: what the queue has no room for is dropped), `udp PORT`, `signal NUMBER`, `show`, `tick MILLISECONDS`.
 */
#include <inttypes.h>
#include <livepatch_module.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "1.0.0"
#endif

struct narrow {
    uint64_t count, last, lost, late, ticks, signals;
};

struct wide {
    struct narrow was;
    uint64_t bytes; /* new in this form */
};

#define NARROW LP_SCHEMA(1, struct narrow)
#define WIDE_ LP_SCHEMA(2, struct wide)

#ifdef STRANGE /* for a test: data that nothing here can go on with */
typedef struct narrow state;
#define SCHEMA LP_SCHEMA(8, struct narrow)
#define OTHER LP_SCHEMA(9, struct narrow)
static struct narrow *counts(state *data) { return data; }
#elif defined TAKES_NARROW /* and nothing takes it */
typedef struct narrow state;
#define SCHEMA LP_SCHEMA(8, struct narrow)
#define OTHER NARROW
static struct narrow *counts(state *data) { return data; }
#elif defined WIDE
typedef struct wide state;
#define SCHEMA WIDE_
#define OTHER NARROW
static struct narrow *counts(state *data) { return &data->was; }
#else
typedef struct narrow state;
#define SCHEMA NARROW
#define OTHER WIDE_
static struct narrow *counts(state *data) { return data; }
#endif

#ifdef UNDEFINED
extern void undefined(void); /* nowhere */
#endif

static lp_result fail(const struct lp_host *host, const char *why) {
    host->fail(host, why, strlen(why));
    return LP_FAILED;
}

#ifdef LEAVE_THREAD
static void *sleeper(void *nothing) {
    for (;;)
        sleep(1000);
    return nothing;
}
#endif
#ifdef LEAVE_UNIQUE
int lp_unique;
__asm__(".type lp_unique, @gnu_unique_object");
#endif
#ifdef LEAVE_TLS
extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
extern void *__dso_handle;
static void at_thread_exit(void *nothing) { (void)nothing; }
#endif
#ifdef LEAVE_ATEXIT
static void at_exit(void) {}
#endif

/* Leaves something behind, for the tests. */
static void leave(void) {
#ifdef LEAVE_THREAD
    pthread_t thread;
    pthread_create(&thread, NULL, sleeper, NULL);
#endif
#ifdef LEAVE_TLS
    __cxa_thread_atexit_impl(at_thread_exit, NULL, &__dso_handle);
#endif
#ifdef LEAVE_UNIQUE
    lp_unique++;
#endif
#ifdef LEAVE_ATEXIT
    atexit(at_exit);
#endif
}

#if defined SLOW_INIT || defined SLOW_TERM || defined SLOW_HOLD || defined SLOW_MIGRATE || defined SLOW_RESTART
/* For 60 ms. */
static void be_slow(const struct lp_host *host) {
    for (uint64_t end = host->now(host) + 60000000; host->now(host) < end;) {
    }
}
#endif

#if defined HANG_MIGRATE || defined HANG_VALIDATE || defined HANG_RESTART
static void hang(void) {
    for (volatile int turn = 0;; turn++) {
    }
}
#endif

static lp_result init(const struct lp_host *host, void **to) {
#ifdef SLOW_INIT
    be_slow(host);
#endif
#ifdef UNDEFINED
    undefined();
#endif
#ifdef FAIL_INIT
    return fail(host, "as it was made to");
#endif
    state *data = host->alloc(host, sizeof *data, 8);
    if (!data)
        return fail(host, "no memory");
    memset(data, 0, sizeof *data);
    *to = data;
    return LP_OK;
}

static lp_result term(const struct lp_host *host, void *data) {
    (void)data;
#ifdef SLOW_TERM
    be_slow(host);
#endif
#ifdef FAIL_TERM
    return fail(host, "as it was made to");
#endif
    host->cancel(host, 1);
    return LP_OK;
}

static lp_result hold(const struct lp_host *host, void *data) {
    (void)host, (void)data;
#ifdef SLOW_HOLD
    be_slow(host);
#endif
#ifdef BUSY
    return LP_AGAIN;
#endif
    return LP_OK;
}

static lp_result restart(const struct lp_host *host, const void *data, uint32_t why) {
    (void)host, (void)data, (void)why;
    leave();
#ifdef FAIL_RESTART
    host->timer(host, 1, host->now(host) + 1, "tick");
    return fail(host, "as it was made to");
#endif
#ifdef CRASH_RESTART
    abort();
#endif
#ifdef WRITE_RESTART
    ((struct narrow *)(uintptr_t)data)->count = 0;
#endif
#ifdef HANG_RESTART
    hang();
#endif
#ifdef SLOW_RESTART
    be_slow(host);
#endif
    return LP_OK;
}

static lp_result migrate(const struct lp_host *host, uint64_t from, const void *old, void **to) {
#ifdef FAIL_MIGRATE
    host->alloc(host, 100000, 8);
    return fail(host, "as it was made to");
#endif
#ifdef CRASH_MIGRATE
    abort();
#endif
#ifdef HANG_MIGRATE
    hang();
#endif
#ifdef SLOW_MIGRATE
    be_slow(host);
#endif
    if (from != OTHER)
        return fail(host, "no migration from this schema");
    state *data = host->alloc(host, sizeof *data, 8);
    if (!data)
        return fail(host, "no memory");
    memset(data, 0, sizeof *data);
    *counts(data) = *(const struct narrow *)old; /* both forms begin with it */
    *to = data;
    return LP_OK;
}

static lp_result validate(const struct lp_host *host, const void *data) {
    (void)data;
#ifdef HANG_VALIDATE
    hang();
#endif
#ifdef MEDDLE_VALIDATE /* with all that there is */
    uint64_t id;
    struct lp_socket socket = {
        .size = sizeof socket, .kind = LP_UNIX_DATAGRAM, .name = "more", .entry = "message", .path = "/tmp/livepatch-more"};
    host->open(host, &socket, &id);
    if (host->find(host, "numbers", &id) == LP_OK) {
        host->send_path(host, id, PEER, (const uint8_t *)"meddled", 7);
        host->close(host, id);
    }
    host->timer(host, 7, host->now(host), "tick");
    host->cancel(host, 2);
    host->signal(host, 41, "signalled");
    ((struct narrow *)(uintptr_t)data)->count = 12345;
#endif
#ifdef FAIL_VALIDATE
    return fail(host, "as it was made to");
#endif
    (void)host;
    return LP_OK;
}

static lp_result health(const struct lp_host *host, const void *data) {
    (void)data;
#ifdef FAIL_HEALTH
    return fail(host, "as it was made to");
#endif
    (void)host;
    return LP_OK;
}

static lp_result message(const struct lp_host *host, void *data, const struct lp_event *event) {
    struct narrow *counted = counts(data);
    uint64_t number;
    if (event->len != sizeof number)
        return fail(host, "a message has 8 bytes");
    memcpy(&number, event->data, sizeof number);
#ifdef CRASH_MESSAGE
    if (number == 999999)
        abort();
#endif
#ifdef HANG_MESSAGE
    while (number == 999999)
        sleep(1);
#endif
    counted->count++;
    if (number <= counted->last)
        counted->late++; /* twice, or out of order */
    else
        counted->lost += number - counted->last - 1, counted->last = number;
#ifdef WIDE
    ((state *)data)->bytes += event->len;
#endif
    return LP_OK;
}

static lp_result tick(const struct lp_host *host, void *data, const struct lp_event *event) {
    (void)host, (void)event;
    counts(data)->ticks++;
    return LP_OK;
}

static lp_result signalled(const struct lp_host *host, void *data, const struct lp_event *event) {
    (void)host, (void)event;
    counts(data)->signals++;
    return LP_OK;
}

static lp_result reply(const struct lp_host *host, const struct lp_event *event, bool good, const char *text) {
    return host->reply(host, event->source, good ? 0 : 1, text, strlen(text));
}

static lp_result command(const struct lp_host *host, void *data, const struct lp_event *event) {
    char words[256] = {0}, text[256];
    if (event->len >= sizeof words)
        return reply(host, event, false, "too long");
    memcpy(words, event->data, event->len);
    const struct narrow *counted = counts(data);
    if (!strncmp(words, "open\n", 5) || !strncmp(words, "drop\n", 5)) {
        struct lp_socket socket = {
            .size = sizeof socket, .kind = LP_UNIX_DATAGRAM, .name = "numbers", .entry = "message", .path = words + 5};
        socket.policy = *words == 'd' ? LP_DROP : LP_BACK_PRESSURE;
        uint64_t id;
        bool good = host->open(host, &socket, &id) == LP_OK;
        return reply(host, event, good, good ? "open" : "cannot open it");
    }
    if (!strncmp(words, "udp\n", 4)) { /* with a receive buffer that is soon full */
        struct lp_socket socket = {
            .size = sizeof socket, .kind = LP_UDP4, .name = "udp", .entry = "message", .receive_buffer = 4096};
        socket.address.ip = 0x7f000001;
        socket.address.port = (uint16_t)strtoul(words + 4, NULL, 10);
        uint64_t id;
        bool good = host->open(host, &socket, &id) == LP_OK;
        return reply(host, event, good, good ? "open" : "cannot open it");
    }
    if (!strncmp(words, "tick\n", 5)) {
        uint64_t deadline = host->now(host) + strtoull(words + 5, NULL, 10) * 1000000;
        return reply(host, event, host->timer(host, 2, deadline, "tick") == LP_OK, "set");
    }
    if (!strncmp(words, "signal\n", 7)) {
        uint32_t number = (uint32_t)strtoul(words + 7, NULL, 10);
        return reply(host, event, host->signal(host, number, "signalled") == LP_OK, "watched");
    }
    if (strcmp(words, "show"))
        return reply(host, event, false, "open PATH, drop PATH, udp PORT, tick MILLISECONDS, signal NUMBER or show");
    snprintf(text, sizeof text,
             VERSION " count %" PRIu64 " lost %" PRIu64 " late %" PRIu64 " ticks %" PRIu64 " signals %" PRIu64, counted->count,
             counted->lost, counted->late, counted->ticks, counted->signals);
    return reply(host, event, true, text);
}

static const struct lp_operations operations = {
    .init = init,
    .term = term,
    .hold = hold,
    .restart = restart,
    .migrate = migrate,
    .validate = validate,
    .health = health,
};

static const struct lp_entry entries[] = {
#ifndef NO_MESSAGE
    {"message", message},
#endif
    {"tick", tick},
    {"signalled", signalled},
    {"command", command},
};

#ifndef NAME
#define NAME "counter"
#endif
LIVEPATCH_MODULE(NAME, VERSION, SCHEMA, operations, entries, OTHER);
