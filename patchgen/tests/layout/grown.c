// A structure that grew: live ones are too short.
//#Refused: `struct conn` in `old.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): field `hits` at offset 8 is new; it was 8 bytes long, and is 12 bytes
struct conn {
    int id, state;
#ifdef NEW
    int hits;
#endif
};
int step(struct conn *c) {
#ifdef NEW
    c->hits++;
#endif
    return c->id + c->state;
}
