// A fix makes a function `noexcept` and catches within: its table says that nothing passes.
//#ExpectBefore: 41
//#ExpectOutput: 42
__attribute__((noipa)) static long inner(long x) { throw x; }
__attribute__((noipa)) static long middle(long x) {
    try {
        return inner(x);
    } catch (long caught) {
        return caught + 1;
    }
}
long answer(long x) { return middle(x); }
