#include "livepatch.h"
struct client { long id; } client;
LIVEPATCH_SHADOW(long, calls);
long answer(long x) {
    long *n = livepatch_attach(calls, &client);
    return n ? x + client.id + ++*n : -1;
}
long other(long x) { return x * 2 + client.id; }
