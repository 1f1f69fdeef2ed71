/*
 * The interface between a livepatch component and its modules. SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A module is a shared library with all the logic of a component. The component's main task owns everything that must
 * outlive it: sockets, timers, signals, the queue of events, and the module's data. A module defines call-backs and ends with
 *
 *     LIVEPATCH_MODULE("counter", "1.0.0", LP_SCHEMA(1, struct counter), operations, entries);
 *
 * Everything here is called on the main task's one thread. Operations return lp_result, within the deadline of the upgrade.
 */
#ifndef LIVEPATCH_MODULE_H
#define LIVEPATCH_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LP_ABI 1u
#define LP_ACCEPTS_MAX 8
#define LP_NAME_MAX 32

/* Results of operations and call-backs. */
typedef int32_t lp_result;
#define LP_OK 0
#define LP_AGAIN 1    /* hold: not quiescent yet; the upgrade is called off and may be tried again */
#define LP_FAILED (-1) /* say why with lp_host.fail */
#define LP_PANIC (-2)  /* a Rust module panicked */

/* Kinds of events. */
#define LP_MESSAGE 1u
#define LP_TIMER 2u
#define LP_SIGNAL 3u
#define LP_COMMAND 4u
#define LP_CONNECTED 5u /* somebody connected to a listener */
#define LP_ENDED 6u     /* the other end of a connection sends no more, or it broke; close it when all is answered */

/* Why `restart` is called. */
#define LP_UPGRADE 1u  /* the module is new */
#define LP_ROLLBACK 2u /* the module was held for an upgrade that failed, or comes back */

/* Kinds of sockets. All but connections of TCP keep the borders of messages. */
#define LP_UDP4 1u          /* address: what to bind to */
#define LP_UNIX_DATAGRAM 2u /* path: what to bind to */
#define LP_NETLINK_ROUTE 3u /* groups: the multicast groups to join, as bits */
/* address: where to listen. Each connection is a socket of its own with the listener's call-back, and survives upgrades. What
 * comes through it are messages of up to 64 KiB; back-pressure is its only policy. */
#define LP_TCP4 4u

/* What happens to a socket's messages while the queue is full. */
#define LP_BACK_PRESSURE 0u /* they stay in the socket */
#define LP_DROP 1u          /* they are read and counted as dropped */

/* An IPv4 address, in host byte order; interface 0 is any. */
struct lp_address {
    uint32_t ip;
    uint16_t port;
    uint16_t reserved;
    uint32_t interface;
};

/* One event of the queue; valid until the call-back returns. */
struct lp_event {
    uint32_t size; /* of this structure */
    uint32_t kind;
    uint64_t source;  /* socket: its id (of the connection); timer: its key; signal: its number; command: what to reply to */
    uint64_t place;   /* in the order of all events of the component, from 1 */
    uint64_t time_ns; /* when it was queued, CLOCK_MONOTONIC */
    uint64_t value;   /* timer: its deadline; signal: the value of sigqueue(3); connected: the id of the listener */
    struct lp_address from;
    uint32_t reserved;
    const char *path; /* Unix datagram: who sent it, `path_len` bytes, not terminated */
    uint64_t path_len;
    const uint8_t *data;
    uint64_t len;
};

/* What to open. */
struct lp_socket {
    uint32_t size; /* of this structure */
    uint32_t kind;
    const char *name;  /* unique in the component; a new version finds the socket by it */
    const char *entry; /* the call-back that gets its messages */
    struct lp_address address;
    uint32_t policy;
    const char *path;
    uint32_t groups;
    uint32_t multicast;      /* UDP: the IPv4 group to join on address.interface, 0 for none */
    uint32_t receive_buffer; /* bytes; 0 for the component's default */
    uint32_t ttl;            /* UDP: of multicast datagrams, 0 for 1 */
};

/* What the main task offers. Functions that return lp_result return LP_FAILED with the reason in the log. */
struct lp_host {
    uint32_t size; /* of this structure; a later version of the interface only appends */
    uint32_t abi;
    void *context;
    /* Level 0 is an error, 1 a warning, 2 a notice, 3 for debugging. */
    void (*log)(const struct lp_host *, uint32_t level, const char *text, uint64_t len);
    /* Why the operation that is running will fail; told to whoever asked for the upgrade. */
    void (*fail)(const struct lp_host *, const char *text, uint64_t len);
    uint64_t (*now)(const struct lp_host *); /* CLOCK_MONOTONIC, ns */
    /* Module data lives here: it outlasts the module. NULL when there is no more. Any thread may call these two. */
    void *(*alloc)(const struct lp_host *, uint64_t size, uint64_t align);
    void (*free)(const struct lp_host *, void *);
    lp_result (*open)(const struct lp_host *, const struct lp_socket *, uint64_t *id);
    lp_result (*find)(const struct lp_host *, const char *name, uint64_t *id);
    lp_result (*close)(const struct lp_host *, uint64_t id);
    /* To a connection (`to` is NULL) all of it goes, in order, now or when the other end reads on; LP_FAILED when 1 MiB waits already. */
    lp_result (*send)(const struct lp_host *, uint64_t id, const struct lp_address *to, const uint8_t *data, uint64_t len);
    lp_result (*send_path)(const struct lp_host *, uint64_t id, const char *path, const uint8_t *data, uint64_t len);
    /* One timer for each key; setting it again moves it. The deadline is absolute and survives upgrades. */
    lp_result (*timer)(const struct lp_host *, uint64_t key, uint64_t deadline_ns, const char *entry);
    lp_result (*cancel)(const struct lp_host *, uint64_t key);
    /* Signals that are sent to the component become events. Real-time signals keep their count; plain ones that come while
     * one is pending coalesce in the kernel. */
    lp_result (*signal)(const struct lp_host *, uint32_t number, const char *entry);
    /* The answer to a command; status 0 is success. */
    lp_result (*reply)(const struct lp_host *, uint64_t source, int32_t status, const char *text, uint64_t len);
};

typedef lp_result (*lp_callback)(const struct lp_host *, void *state, const struct lp_event *);

/* A call-back under its name. The one named "command" gets `livepatch component command`. */
struct lp_entry {
    const char *name;
    lp_callback call;
};

/* The life of a module. `state` is the module data, made by init or migrate with lp_host.alloc. */
struct lp_operations {
    /* First, before anything else; may be NULL. */
    void (*attach)(const struct lp_host *);
    /* INIT: the first load. Makes the data and begins. */
    lp_result (*init)(const struct lp_host *, void **state);
    /* TERM: stop work at once. */
    lp_result (*term)(const struct lp_host *, void *state);
    /* HOLD: leave the data consistent; LP_AGAIN when that is not possible now. */
    lp_result (*hold)(const struct lp_host *, void *state);
    /* RESTART: go on with this data, which cannot be written until it returns. */
    lp_result (*restart)(const struct lp_host *, const void *state, uint32_t why);
    /* Makes this module's data from data of the schema `from`, which stays as it is; may be NULL. */
    lp_result (*migrate)(const struct lp_host *, uint64_t from, const void *old, void **state);
    /* Whether the data makes sense, with no effect; may be NULL. */
    lp_result (*validate)(const struct lp_host *, const void *state);
    /* Whether all is well, asked during probation; may be NULL. */
    lp_result (*health)(const struct lp_host *, const void *state);
    /* A moment before it is to take over, while the version before is at work and events wait for this: may touch what RESTART will
     * touch, so that it takes less time then, and nothing else; may be NULL. */
    void (*warm_up)(const struct lp_host *);
};

/* What a module exports as `livepatch_module`. */
struct lp_module {
    uint32_t size;
    uint32_t abi;
    const char *name;
    const char *version;
    uint64_t schema;
    const struct lp_operations *operations;
    const struct lp_entry *entries;
    uint64_t entry_count;
};

extern __attribute__((visibility("default"))) const struct lp_module livepatch_module;

/* What can be known of a module before any of its code runs: the contents of its ELF note (owner "livepatch", type 1). */
struct lp_note {
    uint32_t abi;
    uint32_t module_size, host_size, event_size, operations_size;
    uint32_t accept_count;
    uint64_t schema;
    uint64_t accepts[LP_ACCEPTS_MAX]; /* schemas that migrate takes */
    char name[LP_NAME_MAX], version[LP_NAME_MAX];
};

struct lp_elf_note {
    uint32_t owner_size, size, type;
    char owner[12];
    struct lp_note note;
};

#define LP_NOTE_TYPE 1u

#if defined(__cplusplus)
#define LP_ASSERT(what) static_assert(what, #what)
#else
#define LP_ASSERT(what) _Static_assert(what, #what)
#endif
LP_ASSERT(sizeof(struct lp_address) == 12);
LP_ASSERT(sizeof(struct lp_event) == 88);
LP_ASSERT(sizeof(struct lp_socket) == 64);
LP_ASSERT(sizeof(struct lp_host) == 128);
LP_ASSERT(sizeof(struct lp_entry) == 16);
LP_ASSERT(sizeof(struct lp_operations) == 72);
LP_ASSERT(sizeof(struct lp_module) == 56);
LP_ASSERT(sizeof(struct lp_note) == 160);
LP_ASSERT(offsetof(struct lp_elf_note, note) == 24);

/* A schema's fingerprint: a number that you raise when the meaning of the data changes, with the size of its type. */
#define LP_SCHEMA(number, type) (((uint64_t)(number) << 32) ^ (uint64_t)sizeof(type))

/* Defines the module and its note. After the entries come the schemas that migrate takes, at most LP_ACCEPTS_MAX. */
#define LIVEPATCH_MODULE(name_, version_, schema_, operations_, entries_, ...)                                    \
    LP_ASSERT(sizeof(name_) <= LP_NAME_MAX && sizeof(version_) <= LP_NAME_MAX);                                   \
    __attribute__((unused)) static const uint64_t lp_accepts_[] = {0, ##__VA_ARGS__};                             \
    LP_ASSERT(sizeof lp_accepts_ / sizeof *lp_accepts_ <= LP_ACCEPTS_MAX + 1);                                    \
    __attribute__((section(".note.livepatch"), used, aligned(8))) static const struct lp_elf_note lp_note_ = {    \
        10, sizeof(struct lp_note), LP_NOTE_TYPE, "livepatch",                                                    \
        {LP_ABI, sizeof(struct lp_module), sizeof(struct lp_host), sizeof(struct lp_event),                       \
         sizeof(struct lp_operations), sizeof lp_accepts_ / sizeof *lp_accepts_ - 1, schema_, {__VA_ARGS__},      \
         name_, version_}};                                                                                       \
    const struct lp_module livepatch_module = {                                                                   \
        sizeof(struct lp_module), LP_ABI, name_, version_, schema_, &(operations_), entries_,                     \
        sizeof(entries_) / sizeof *(entries_)}

#ifdef __cplusplus
}
#endif
#endif
