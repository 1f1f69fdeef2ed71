/* livepatch.h: what the source of a fix can say to patchgen and livepatch. Version 1.
 *
 * For C (GNU C99 and later) and C++, gcc and clang, x86-64. The running program needs no library and no
 * preparation. Compiled into the whole program as well, every macro stays without effect and
 * every shadow variable is absent.
 *
 * HOOKS are functions `int name(void)` of the fix that run in the target. Mark them behind their definition:
 *
 *     static int check(void) { return table_is_sane() ? 0 : 1; }
 *     LIVEPATCH_PRE_APPLY(check);
 *
 *   LIVEPATCH_PRE_APPLY    before the switch                         other than 0: not applied
 *   LIVEPATCH_AT_APPLY     in the stop, while every thread stands    other than 0: not applied
 *   LIVEPATCH_POST_APPLY   after the switch                          other than 0: reverted again
 *   LIVEPATCH_PRE_REVERT   before the switch back                    other than 0: not reverted
 *   LIVEPATCH_AT_REVERT    in the stop of a revert                   other than 0: not reverted
 *   LIVEPATCH_POST_REVERT  after the switch back                     only reported
 *
 * A hook runs on a thread of the target that sleeps in a system call such as epoll_wait or read, outside
 * the allocator and the dynamic loader, on a stack of its own (256 KiB), with signals blocked. It may
 * call what that thread might call; locks that a sleeping thread holds end in the deadline (`--hook-timeout`). The two
 * hooks in the stop may neither allocate nor lock, whoever holds a lock stands, but shadow variables work there;
 * they may return LIVEPATCH_AGAIN, to be called again in a later stop until `--timeout`. If a hook crashes, overruns or
 * fails, what it did itself stays: look first, then change. When something fails after a PRE_APPLY hook
 * succeeded, the POST_REVERT hooks run; when a revert fails after a PRE_REVERT hook, the POST_APPLY hooks do.
 *
 * SHADOW VARIABLES add data to objects and threads that live already, whose types cannot grow:
 *
 *     struct rate { unsigned requests; long since; };
 *     LIVEPATCH_SHADOW(struct rate, conn_rate);              // once in each source file that uses it
 *
 *     struct rate *rate = livepatch_attach(conn_rate, conn); // the present one, or a new one of zeros
 *     rate = livepatch_get(conn_rate, conn);                 // the present one, or NULL
 *     livepatch_detach(conn_rate, conn);                     // when `conn` is about to be freed
 *
 *     livepatch_attach_thread(seed); livepatch_get_thread(seed); livepatch_detach_thread(seed);
 *
 * `livepatch_attach` returns NULL when the arena is full. The name is what a variable is known by: a later patch with a
 * variable of the same name and size finds the values of an earlier one. When the last patch that has the variable is
 * reverted, all values are gone; when the last patch that has any is, so is the memory. `get` may be called from
 * anywhere; `attach` and `detach` not from signal handlers. Two threads that use one value need a lock, as ever. */
#ifndef LIVEPATCH_H
#define LIVEPATCH_H

#if !defined(__x86_64__) || !defined(__GNUC__)
#error "livepatch.h is for gcc and clang on x86-64"
#endif

/* In a patch of the kernel hooks are `int hook(struct klp_object *)`, one for each of pre-apply, post-apply, pre-revert and
 * post-revert; only what pre-apply returns counts. Shadow variables are the kernel's own there (`klp_shadow_get` and its kin). */
#ifndef __KERNEL__
#include <stddef.h>
#include <stdint.h>
#endif

/* What a hook in the stop returns to be called again in a later stop. */
#define LIVEPATCH_AGAIN 11

#define LIVEPATCH_PRE_APPLY(function) LIVEPATCH_HOOK_(pre_apply, function)
#define LIVEPATCH_AT_APPLY(function) LIVEPATCH_HOOK_(at_apply, function)
#define LIVEPATCH_POST_APPLY(function) LIVEPATCH_HOOK_(post_apply, function)
#define LIVEPATCH_PRE_REVERT(function) LIVEPATCH_HOOK_(pre_revert, function)
#define LIVEPATCH_AT_REVERT(function) LIVEPATCH_HOOK_(at_revert, function)
#define LIVEPATCH_POST_REVERT(function) LIVEPATCH_HOOK_(post_revert, function)

#ifdef __KERNEL__
struct klp_object;
#define LIVEPATCH_HOOK_TYPE_ struct klp_object *
#else
#define LIVEPATCH_HOOK_TYPE_ void
#endif

#define LIVEPATCH_HOOK_(phase, function)                                                             \
    static int (*const livepatch_hook_##phase##_##function)(LIVEPATCH_HOOK_TYPE_)                    \
        __attribute__((used, section(".livepatch.hooks." #phase))) = function

#ifndef __KERNEL__

#ifdef __cplusplus
#define LIVEPATCH_EXTERN_ extern "C"
#define LIVEPATCH_CAST_(type, value) reinterpret_cast<type>(value)
#else
#define LIVEPATCH_EXTERN_ extern
#define LIVEPATCH_CAST_(type, value) ((type)(value))
#endif

/* livepatch gives these two symbols their values when it links the patch. Without it they are 0. */
LIVEPATCH_EXTERN_ char livepatch_arena[] __attribute__((weak));

#define LIVEPATCH_SHADOW(type, name)                                                                 \
    typedef type livepatch_type_##name;                                                              \
    LIVEPATCH_EXTERN_ char livepatch_variable_##name[] __attribute__((weak));                        \
    static const struct livepatch_variable livepatch_shadow_##name                                   \
        __attribute__((used, section(".livepatch.shadow." #name))) = {livepatch_arena,                      \
                                                               livepatch_variable_##name,            \
                                                               sizeof(type)}

#define livepatch_attach(name, object)                                                               \
    LIVEPATCH_CAST_(livepatch_type_##name *,                                                         \
                    livepatch_attach_(&livepatch_shadow_##name, livepatch_key_(object), 0))
#define livepatch_get(name, object)                                                                  \
    LIVEPATCH_CAST_(livepatch_type_##name *,                                                         \
                    livepatch_get_(&livepatch_shadow_##name, livepatch_key_(object), 0))
#define livepatch_detach(name, object)                                                               \
    livepatch_detach_(&livepatch_shadow_##name, livepatch_key_(object), 0)

#define livepatch_attach_thread(name)                                                                \
    LIVEPATCH_CAST_(livepatch_type_##name *,                                                         \
                    livepatch_attach_(&livepatch_shadow_##name, livepatch_self_(), 1))
#define livepatch_get_thread(name)                                                                   \
    LIVEPATCH_CAST_(livepatch_type_##name *,                                                         \
                    livepatch_get_(&livepatch_shadow_##name, livepatch_self_(), 1))
#define livepatch_detach_thread(name) livepatch_detach_(&livepatch_shadow_##name, livepatch_self_(), 1)

/* ------------------------------------------------------------------------------------------------
 * The rest is not to be used directly. The arena is memory that livepatch maps in the target:
 *
 *     header | 4096 buckets | nodes ...
 *
 * A bucket holds the offset of its first node (a multiple of 16), with bit 0 as a lock for those who change it. Nodes are
 * never taken out of their list, only used anew, so that readers need no lock: a node's `state` changes with each
 * new use, and bit 0 says whether it holds a value. */

struct livepatch_variable {
    const char *arena;
    const char *epoch; /* a number: which life of which variable; 0: none */
    uint64_t size;
};

struct livepatch_header {
    uint64_t magic;
    uint32_t version;
    uint32_t stopped;       /* other than 0 while every thread stands: nobody gives a lock back */
    uint64_t size;          /* of the whole arena */
    uint64_t used;          /* bytes handed out, this header included */
    uint64_t thread_number; /* where a thread's number lies, from the thread pointer; 0: not known */
    uint64_t serial;        /* livepatch's own */
    uint64_t live[64];      /* the epochs in force, by their lowest six bits */
    uint64_t bucket[4096];
};

struct livepatch_node {
    uint64_t state;
    uint64_t object;
    uint64_t epoch;
    uint64_t thread; /* number of the thread whose value it is; 0 for objects */
    uint64_t next;   /* offset of the next node of the bucket, 0 at the end */
    uint64_t capacity;
    /* and the value, at a multiple of 16 */
};

#define LIVEPATCH_VALUE_OF_(node) (LIVEPATCH_CAST_(char *, node) + sizeof(struct livepatch_node))
/* Code in this section travels with each patch that uses it: an earlier patch may be gone before a later one. */
#define LIVEPATCH_OWN_ static __attribute__((unused, noinline, section(".text.livepatch")))
#define LIVEPATCH_INLINE_ static inline __attribute__((unused, always_inline))

LIVEPATCH_INLINE_ uint64_t livepatch_key_(const volatile void *object) {
    return LIVEPATCH_CAST_(uint64_t, object);
}

/* The thread pointer: the first word of what it points to (psABI, 3.4.2). */
LIVEPATCH_INLINE_ uint64_t livepatch_self_(void) {
    uint64_t self;
    __asm__("movq %%fs:0, %0" : "=r"(self));
    return self;
}

LIVEPATCH_INLINE_ struct livepatch_header *livepatch_header_(const struct livepatch_variable *variable) {
    /* Hides from the compiler that the arena's address is a constant, or no null pointer. */
    const char *arena = *LIVEPATCH_CAST_(const char *const volatile *, &variable->arena);
    return LIVEPATCH_CAST_(struct livepatch_header *, LIVEPATCH_CAST_(uint64_t, arena));
}

LIVEPATCH_INLINE_ uint64_t livepatch_epoch_(const struct livepatch_variable *variable) {
    const char *epoch = *LIVEPATCH_CAST_(const char *const volatile *, &variable->epoch);
    return LIVEPATCH_CAST_(uint64_t, epoch);
}

LIVEPATCH_INLINE_ struct livepatch_node *livepatch_node_(struct livepatch_header *arena, uint64_t offset) {
    return LIVEPATCH_CAST_(struct livepatch_node *, LIVEPATCH_CAST_(char *, arena) + offset);
}

LIVEPATCH_INLINE_ uint64_t *livepatch_bucket_(struct livepatch_header *arena, uint64_t object, uint64_t epoch) {
    uint64_t mixed = (object ^ (epoch << 32)) * 0x9e3779b97f4a7c15u;
    return &arena->bucket[mixed >> 52];
}

/* The number of the calling thread, 0 when it is not known: a dead thread's memory may be a new one's. */
LIVEPATCH_INLINE_ uint64_t livepatch_number_(const struct livepatch_header *arena) {
    uint64_t at = arena->thread_number;
    if (!at)
        return 0;
    return *LIVEPATCH_CAST_(const volatile uint32_t *, livepatch_self_() + at);
}

LIVEPATCH_INLINE_ struct livepatch_node *livepatch_find_(struct livepatch_header *arena, uint64_t first,
                                                         uint64_t object, uint64_t epoch) {
    for (uint64_t at = first & ~(uint64_t)1; at;) {
        struct livepatch_node *node = livepatch_node_(arena, at);
        uint64_t state = __atomic_load_n(&node->state, __ATOMIC_ACQUIRE);
        if ((state & 1) && __atomic_load_n(&node->object, __ATOMIC_ACQUIRE) == object &&
            __atomic_load_n(&node->epoch, __ATOMIC_ACQUIRE) == epoch &&
            __atomic_load_n(&node->state, __ATOMIC_ACQUIRE) == state)
            return node;
        at = node->next;
    }
    return NULL;
}

LIVEPATCH_OWN_ void *livepatch_get_(const struct livepatch_variable *variable, uint64_t object, int thread) {
    struct livepatch_header *arena = livepatch_header_(variable);
    uint64_t epoch = livepatch_epoch_(variable);
    if (!arena || !epoch)
        return NULL;
    uint64_t number = thread ? livepatch_number_(arena) : 0;
    uint64_t first = __atomic_load_n(livepatch_bucket_(arena, object, epoch), __ATOMIC_ACQUIRE);
    struct livepatch_node *node = livepatch_find_(arena, first, object, epoch);
    if (!node || node->thread != number || node->capacity < variable->size)
        return NULL;
    return LIVEPATCH_VALUE_OF_(node);
}

/* Takes a bucket's lock. False in the stop, when a thread that stands has it. */
LIVEPATCH_INLINE_ int livepatch_lock_(struct livepatch_header *arena, uint64_t *bucket) {
    while (__atomic_fetch_or(bucket, 1, __ATOMIC_ACQUIRE) & 1) {
        if (__atomic_load_n(&arena->stopped, __ATOMIC_RELAXED))
            return 0;
        __asm__ volatile("pause");
    }
    return 1;
}

/* A node that is free: detached, or of a variable that is gone. */
LIVEPATCH_INLINE_ struct livepatch_node *livepatch_spare_(struct livepatch_header *arena, uint64_t first,
                                                          uint64_t size) {
    for (uint64_t at = first & ~(uint64_t)1; at;) {
        struct livepatch_node *node = livepatch_node_(arena, at);
        int gone = arena->live[node->epoch & 63] != node->epoch;
        if ((!(node->state & 1) || gone) && node->capacity >= size)
            return node;
        at = node->next;
    }
    return NULL;
}

/* The offset of a new node, 0 when the arena is full. */
LIVEPATCH_INLINE_ uint64_t livepatch_take_(struct livepatch_header *arena, uint64_t capacity) {
    uint64_t at = __atomic_load_n(&arena->used, __ATOMIC_RELAXED);
    do {
        if (capacity > arena->size || at > arena->size - capacity - sizeof(struct livepatch_node))
            return 0;
    } while (!__atomic_compare_exchange_n(&arena->used, &at, at + capacity + sizeof(struct livepatch_node), 0,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return at;
}

/* Fills in a node that nobody reads, and lets readers see it. */
LIVEPATCH_INLINE_ void livepatch_fill_(struct livepatch_node *node, uint64_t object, uint64_t epoch, uint64_t thread) {
    char *value = LIVEPATCH_VALUE_OF_(node);
    uint64_t state = node->state | 1;
    __atomic_store_n(&node->state, state + 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&node->object, object, __ATOMIC_RELEASE);
    __atomic_store_n(&node->epoch, epoch, __ATOMIC_RELEASE);
    node->thread = thread;
    for (uint64_t at = 0; at < node->capacity; at++)
        *LIVEPATCH_CAST_(volatile char *, value + at) = 0;
    __atomic_store_n(&node->state, state + 2, __ATOMIC_RELEASE);
}

LIVEPATCH_OWN_ void *livepatch_attach_(const struct livepatch_variable *variable, uint64_t object, int thread) {
    struct livepatch_header *arena = livepatch_header_(variable);
    uint64_t epoch = livepatch_epoch_(variable);
    if (!arena || !epoch)
        return NULL;
    uint64_t number = thread ? livepatch_number_(arena) : 0;
    if (thread && !number)
        return NULL;
    uint64_t *bucket = livepatch_bucket_(arena, object, epoch);
    if (!livepatch_lock_(arena, bucket))
        return NULL;
    uint64_t first = __atomic_load_n(bucket, __ATOMIC_RELAXED) & ~(uint64_t)1;
    uint64_t head = first;
    uint64_t capacity = (variable->size + 15) & ~(uint64_t)15;
    struct livepatch_node *node = livepatch_find_(arena, first, object, epoch);
    if (node && node->capacity < variable->size) {
        node = NULL; /* of another size: not this variable */
    } else if (node && node->thread == number) {
        /* present */
    } else if (node || (node = livepatch_spare_(arena, first, capacity))) {
        livepatch_fill_(node, object, epoch, number);
    } else if ((head = livepatch_take_(arena, capacity))) {
        node = livepatch_node_(arena, head);
        node->capacity = capacity;
        node->next = first;
        livepatch_fill_(node, object, epoch, number);
    } else {
        head = first;
    }
    __atomic_store_n(bucket, head, __ATOMIC_RELEASE); /* the lock is free again */
    return node ? LIVEPATCH_VALUE_OF_(node) : NULL;
}

LIVEPATCH_OWN_ void livepatch_detach_(const struct livepatch_variable *variable, uint64_t object, int thread) {
    struct livepatch_header *arena = livepatch_header_(variable);
    uint64_t epoch = livepatch_epoch_(variable);
    (void)thread;
    if (!arena || !epoch)
        return;
    uint64_t *bucket = livepatch_bucket_(arena, object, epoch);
    if (!livepatch_lock_(arena, bucket))
        return;
    uint64_t first = __atomic_load_n(bucket, __ATOMIC_RELAXED) & ~(uint64_t)1;
    struct livepatch_node *node = livepatch_find_(arena, first, object, epoch);
    if (node)
        __atomic_store_n(&node->state, node->state + 1, __ATOMIC_RELEASE);
    __atomic_store_n(bucket, first, __ATOMIC_RELEASE);
}

#endif
#endif
