// `count.0` of the old object is `count.1` of the new one: a new static local comes first.
//#OldHas: count.0
//#ExpectBefore: 1
//#ExpectBefore: 2
//#ExpectOutput: 103
//#ExpectOutput: 204
//#AfterRevert: 5
long answer(long x) {
    static long count;
    (void)x;
    return ++count;
}
