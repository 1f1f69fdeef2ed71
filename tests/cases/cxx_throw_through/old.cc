// An exception passes through new code that knows nothing of exceptions.
//#OldHas: _ZL6middlel
//#ExpectBefore: 47
//#ExpectOutput: 48
//#ExpectOutput: 48
struct Over { long by; };
__attribute__((noipa)) static long inner(long x) { throw Over{x}; }
__attribute__((noipa)) static long middle(long x) { return inner(x + 2) + 1; }
long answer(long x) {
    try {
        return middle(x) + 100;
    } catch (const Over &over) {
        return over.by + 5;
    }
}
