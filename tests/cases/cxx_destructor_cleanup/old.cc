// New code cleans up while an exception passes.
//#ExpectBefore: 41
//#ExpectOutput: 141
//#ExpectOutput: 141
//#AfterRevert: 41
long cleaned;
struct Guard { long weight; ~Guard() { cleaned += weight; } };
__attribute__((noipa)) static long inner(long x) { throw x; }
__attribute__((noipa)) static long middle(long x) {
    Guard guard{1};
    return inner(x) + guard.weight;
}
long answer(long x) {
    cleaned = 0;
    try {
        return middle(x);
    } catch (long caught) {
        return caught + cleaned;
    }
}
