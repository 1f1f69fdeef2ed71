struct cursor { long at; };
__attribute__((noipa)) static long step(struct cursor *c) { return ++c->at; }
long answer(long x) {
    struct cursor c = {x};
    return step(&c);
}
// A type that is only ever on the stack of replaced functions: its author says so.
//#Cflags: -O2 -g
//#Patchgen: --allow-layout cursor
//#ExpectBefore: 41
//#ExpectOutput: 51
