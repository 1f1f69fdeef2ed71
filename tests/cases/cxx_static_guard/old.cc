// The initialiser of a static local throws the first time: the guard is released, and the next call tries again.
//#OldHas: _ZGVZL5countvE5value
//#ExpectBefore: -40
//#ExpectOutput: 47
//#ExpectOutput: 47
//#AfterRevert: 46
long tries;
__attribute__((noipa)) static long begin() {
    if (tries++ == 0) throw 1;
    return 6;
}
__attribute__((noipa)) static long count() {
    static long value = begin();
    return value;
}
long answer(long x) {
    try {
        return x + count();
    } catch (int) {
        return -x;
    }
}
