#include <stdlib.h>
struct conn { long id, sent; };
static struct conn *live;
static struct conn *get(void) {
    if (!live)
        live = calloc(1, sizeof *live);
    return live;
}
long answer(long x) {
    struct conn *c = get();
    return c->sent += x;
}
// A live structure is too short for the new code.
//#Cflags: -O2 -g
//#ExpectBefore: 40
//#PatchgenRefuses: `struct conn` in `patch.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): field `hits` at offset 16 is new; it was 16 bytes long, and is 24 bytes
