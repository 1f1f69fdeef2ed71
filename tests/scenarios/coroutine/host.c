// Coroutines, switched in the three ways that there are: `ucontext`, `setjmp`, a routine that changes the stack pointer.
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

long work(int suspend);
void yield(void);
void enter(void);

enum { UCONTEXT, JUMP, SWITCH, KINDS, STACK = 64 << 10 };
static const char *const names[KINDS] = {"ucontext", "jump", "switch"};

struct side {
    ucontext_t context;
    jmp_buf jump;
    void *stack_pointer;
};

static int kind;
static struct side caller, coroutine;
static void (*body)(void);
static atomic_int suspended, stay, inside;
static long result;

void switch_stacks(void **from, void *to);
__asm__(".text\n.globl switch_stacks\n.type switch_stacks, @function\nswitch_stacks:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
        ".size switch_stacks, . - switch_stacks\n");

static void go(struct side *from, struct side *to) {
    switch (kind) {
    case UCONTEXT:
        swapcontext(&from->context, &to->context);
        break;
    case JUMP:
        if (!_setjmp(from->jump))
            _longjmp(to->jump, 1);
        break;
    default:
        switch_stacks(&from->stack_pointer, to->stack_pointer);
    }
}

// The state that is saved last is that of a coroutine that is at its end.
static void start(void) {
    for (;;) {
        body();
        suspended = 0;
        go(&coroutine, &caller);
    }
}

// Stacks as they are had in practice: mapped, from the heap, static.
static char *stack(void) {
    static char fixed[STACK] __attribute__((aligned(64)));
    static char *kept[KINDS] = {NULL, fixed, NULL};
    if (!kept[kind])
        kept[kind] = kind == UCONTEXT ? mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : malloc(STACK);
    return kept[kind];
}

static void first(struct side *from) {
    getcontext(&coroutine.context);
    coroutine.context.uc_stack.ss_sp = stack();
    coroutine.context.uc_stack.ss_size = STACK;
    makecontext(&coroutine.context, start, 0);
    if (kind == UCONTEXT) {
        swapcontext(&from->context, &coroutine.context);
    } else if (kind == JUMP) {
        ucontext_t unused;
        if (!_setjmp(from->jump))
            swapcontext(&unused, &coroutine.context);
    } else {
        void **top = (void **)(stack() + STACK) - 1;
        *top-- = NULL;
        *top = (void *)start;
        coroutine.stack_pointer = top - 6;
        switch_stacks(&from->stack_pointer, coroutine.stack_pointer);
    }
}

void yield(void) {
    suspended = 1;
    go(&coroutine, &caller);
}

static void suspend(void) {
    result = work(1);
}

void enter(void) {
    if (suspended)
        return;
    body = suspend;
    first(&caller);
}

// The thread's own stack is left in the middle of `work`, and a coroutine runs meanwhile.
static void wait_here(void) {
    inside = 1;
    while (stay)
        usleep(1000);
}

void leave_own_stack(void) {
    body = wait_here;
    first(&caller);
}

static void *nested(void *unused) {
    work(2);
    inside = 0;
    return unused;
}

void ask(const char *line, char *out, size_t size) {
    pthread_t thread;
    for (int number = 0; number < KINDS; number++) {
        if (!strcmp(line, names[number])) {
            kind = number;
            return;
        }
    }
    if (!strcmp(line, "enter")) {
        enter();
    } else if (!strcmp(line, "leave")) {
        go(&caller, &coroutine);
        snprintf(out, size, "%ld", result);
    } else if (!strcmp(line, "nest")) {
        stay = 1;
        pthread_create(&thread, NULL, nested, NULL);
        pthread_detach(thread);
        while (!inside)
            usleep(1000);
    } else if (!strcmp(line, "return")) {
        stay = 0;
        while (inside)
            usleep(1000);
    } else {
        snprintf(out, size, "%ld", work(0));
    }
}
