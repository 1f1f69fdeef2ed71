#include "livepatch.h"
extern char objects[64];
struct big { char bytes[1 << 16]; };
LIVEPATCH_SHADOW(struct big, big_value);
long answer(long x) {
    for (int round = 0; round < 100; round++)
        for (int at = 0; at < 64; at++) {
            struct big *value = livepatch_attach(big_value, &objects[at]);
            if (!value || value->bytes[0] || value->bytes[sizeof *value - 1])
                return -1;
            value->bytes[0] = 1;
            livepatch_detach(big_value, &objects[at]);
            if (livepatch_get(big_value, &objects[at]))
                return -2;
        }
    return x;
}
