long answer(long x) {
    static long calls;
    (void)x;
    return 1000 + ++calls;
}
