// An exception passes through new code that knows nothing of exceptions.
struct Over { long by; };
__attribute__((noipa)) static long inner(long x) { throw Over{x}; }
__attribute__((noipa)) static long middle(long x) { return inner(x + 3) + 1; }
long answer(long x) {
    try {
        return middle(x) + 100;
    } catch (const Over &over) {
        return over.by + 5;
    }
}
