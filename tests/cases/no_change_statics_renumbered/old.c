// A static local of another function, which comes before, renumbers this one's.
//#ExpectBefore: 41
//#ExpectBefore: 42
//#ExpectOutput: 43
//#AfterRevert: 44
long other(long x);
long other(long x) { return x; }
long answer(long x) {
    static long count;
    return x + ++count;
}
