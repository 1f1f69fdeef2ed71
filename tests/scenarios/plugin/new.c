long one = 1;
long answer(long x) {
    for (long i = 0; i < x / 8; i++)
        x += i & one & 2;
    return x + one + one;
}
