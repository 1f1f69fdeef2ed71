#include "livepatch.h"
LIVEPATCH_SHADOW(long, thread_calls);
long answer(long x) {
    long *calls = livepatch_attach_thread(thread_calls);
    if (!calls || livepatch_get_thread(thread_calls) != calls)
        return -1;
    return x + ++*calls;
}
