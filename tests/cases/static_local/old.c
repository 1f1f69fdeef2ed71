// A static local keeps its value over apply and revert.
//#OldHas: calls.
//#ExpectBefore: 1
//#ExpectBefore: 2
//#ExpectOutput: 1003
//#ExpectOutput: 1004
//#AfterRevert: 5
long answer(long x) {
    static long calls;
    (void)x;
    return ++calls;
}
