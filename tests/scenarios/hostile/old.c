// A process that does what it can to harm whoever looks at it.
//#ExpectBefore: 41
//#ExpectOutput: 42
extern long one;
long one = 1;
long answer(long x) {
    for (long i = 0; i < x / 8; i++)
        x += i & one & 2;
    return x + one;
}
