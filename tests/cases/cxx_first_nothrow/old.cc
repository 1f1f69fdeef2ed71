// The address of a library's variable that the program has no copy of.
//#ExpectBefore: 41
//#ExpectOutput: 42
long answer(long x) {
    if (x < 0)
        throw x;
    return x + 1;
}
