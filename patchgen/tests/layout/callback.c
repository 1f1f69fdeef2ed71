// Live tables hold functions of the old kind.
//#Refused: `struct operations` in `old.o`: its layout changed
struct operations {
#ifdef NEW
    int (*read)(int, long);
#else
    int (*read)(int);
#endif
};
int call(struct operations *o) {
#ifdef NEW
    return o->read(1, 2);
#else
    return o->read(1);
#endif
}
