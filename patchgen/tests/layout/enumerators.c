// A value in the middle of an enumeration: the old numbers are in live data. One at the end harms nobody.
//#Refused: `enum state` in `old.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): enumerator `CLOSED` was 1, and is 2
enum state {
    OPEN,
#ifdef NEW
    HALF,
#endif
    CLOSED
};
enum reason {
    NONE,
    TIMEOUT,
#ifdef NEW
    RESET,
#endif
};
struct conn { enum state state; enum reason reason; };
int closed(struct conn *c) { return c->state == CLOSED || c->reason == TIMEOUT; }
