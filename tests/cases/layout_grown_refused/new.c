#include <stdlib.h>
struct conn { long id, sent, hits; };
static struct conn *live;
static struct conn *get(void) {
    if (!live)
        live = calloc(1, sizeof *live);
    return live;
}
long answer(long x) {
    struct conn *c = get();
    c->hits++;
    return c->sent += x;
}
