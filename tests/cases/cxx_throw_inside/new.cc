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
__attribute__((noipa)) static long check(long x) {
    if (x > 10)
        throw 5L;
    return 0;
}
long answer(long x) {
    try {
        return calm(-x) + check(x);
    } catch (long more) {
        return x + more;
    } catch (...) {
        return -1;
    }
}
