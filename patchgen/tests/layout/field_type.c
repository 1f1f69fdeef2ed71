// Fields of the same size that mean something else.
//#Refused: field `a` at offset 0 was `float` (4 bytes), and is `int` (4 bytes); field `b` at offset 8 was `char *` (8 bytes), and is `struct other *` (8 bytes)
struct other { int x; };
struct mixed {
#ifdef NEW
    int a;
    struct other *b;
#else
    float a;
    char *b;
#endif
};
int use(struct mixed *m) {
#ifdef NEW
    return m->a + m->b->x;
#else
    return (int)m->a + m->b[0];
#endif
}
