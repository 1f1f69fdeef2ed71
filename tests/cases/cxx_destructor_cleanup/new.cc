// New code cleans up while an exception passes.
long cleaned;
struct Guard { long weight; ~Guard() { cleaned += weight; } };
__attribute__((noipa)) static long inner(long x) { throw x; }
__attribute__((noipa)) static long middle(long x) {
    Guard one{100}, two{1};
    return inner(x) + one.weight + two.weight;
}
long answer(long x) {
    cleaned = 0;
    try {
        return middle(x);
    } catch (long caught) {
        return caught + cleaned;
    }
}
