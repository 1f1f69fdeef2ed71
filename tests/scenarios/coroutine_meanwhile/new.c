#include "livepatch.h"
void enter(void);
static int suspend_one(void) {
    enter();
    return 0;
}
LIVEPATCH_PRE_APPLY(suspend_one);
void yield(void);
void leave_own_stack(void);
static volatile int unused;
long work(int suspend) {
    if (suspend == 1)
        yield();
    if (suspend == 2)
        leave_own_stack();
    unused++;
    return 2;
}
