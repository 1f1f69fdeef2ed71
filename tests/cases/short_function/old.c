// Three bytes of code, then padding that is provably padding: the jump goes there too.
//#ExpectBefore: 0
//#ExpectOutput: 40
long answer(long x) {
    (void)x;
    return 0;
}
