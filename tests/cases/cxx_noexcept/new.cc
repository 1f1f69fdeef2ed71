// A fix makes a function `noexcept` and catches within: its table says that nothing passes.
__attribute__((noipa)) static long inner(long x) { throw x; }
__attribute__((noipa)) static long middle(long x) noexcept {
    try {
        return inner(x);
    } catch (long caught) {
        return caught + 2;
    }
}
long answer(long x) { return middle(x); }
