struct cursor { long step, at; };
__attribute__((noipa)) static long step(struct cursor *c) { return c->at += c->step; }
long answer(long x) {
    struct cursor c = {11, x};
    return step(&c);
}
