// Globals, initialised and zero, are those of the running program: written by old and new code alike.
//#ExpectBefore: 11
//#ExpectOutput: 32
//#ExpectOutput: 53
//#AfterRevert: 54
long total = 10;
long extra;
long answer(long x) {
    (void)x;
    return total += 1 + extra;
}
