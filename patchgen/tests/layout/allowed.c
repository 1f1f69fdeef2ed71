// The author knows that no `cursor` outlives a call.
//#Options: --allow-layout cursor
struct cursor {
    const char *at;
#ifdef NEW
    int depth;
#endif
};
int walk(struct cursor *c) {
#ifdef NEW
    if (++c->depth > 9)
        return -1;
#endif
    return *c->at++;
}
