// A field moved behind a new one; the pointer to the structure comes as `void *`.
//#Refused: field `b` was at offset 4, and is at offset 8; field `c` at offset 4 is new
struct pair {
    int a;
#ifdef NEW
    int c;
#endif
    int b;
};
int second(void *pair) {
    return ((struct pair *)pair)->b;
}
