// New code throws and catches; the function that it replaces did neither.
//#ExpectBefore: 40
//#ExpectOutput: 45
//#ExpectOutput: 45
long other(long x) {
    if (x < 0) throw x;
    return x;
}
__attribute__((noipa)) static long calm(long x) {
    try {
        return other(x);
    } catch (long y) {
        return -y;
    }
}
long answer(long x) { return calm(-x); }
