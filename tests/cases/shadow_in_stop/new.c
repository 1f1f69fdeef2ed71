#include "livepatch.h"
struct client { long id; };
extern struct client clients[4];
struct huge { char bytes[1 << 28]; };
LIVEPATCH_SHADOW(long, client_bonus);
LIVEPATCH_SHADOW(struct huge, client_huge);
static int give(void) {
    for (int at = 0; at < 4; at++) {
        long *bonus = livepatch_attach(client_bonus, &clients[at]);
        if (!bonus || livepatch_attach(client_huge, &clients[at]))
            return 1;
        *bonus = 7;
    }
    return 0;
}
LIVEPATCH_AT_APPLY(give);
long answer(long x) {
    long *bonus = livepatch_get(client_bonus, &clients[x % 4]);
    return x + (bonus ? *bonus : -1);
}
