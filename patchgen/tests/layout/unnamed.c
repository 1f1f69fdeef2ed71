// A structure that only a `typedef` names, with an unnamed union inside.
//#Refused: `typedef item` in `old.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): the part of type `an unnamed structure` at offset 8 was `an unnamed structure` (8 bytes), and is `an unnamed structure` (8 bytes)
typedef struct {
    int kind;
    union {
        int small;
#ifdef NEW
        unsigned long bytes;
#else
        long large;
#endif
    };
} item;
long value(item *i) {
#ifdef NEW
    return i->kind ? i->small : (long)i->bytes >> 3;
#else
    return i->kind ? i->small : i->large;
#endif
}
