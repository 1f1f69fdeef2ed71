// Variables of the C library that the program has no copy of: read, and read inside.
//#ExpectBefore: 41
//#ExpectOutput: 1045
long answer(long x) {
    return x + 1;
}
