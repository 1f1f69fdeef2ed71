// The program has no copy of the type's description, which lies far away.
// What was thrown last leaves addresses of new code behind.
//#Kept
//#Forms: none
//#ExpectBefore: 41
//#ExpectOutput: -1
long answer(long x) {
    try {
        if (x < 0)
            throw x;
    } catch (long) {
        return 0;
    }
    return x + 1;
}
