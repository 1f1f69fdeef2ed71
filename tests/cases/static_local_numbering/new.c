__attribute__((noipa)) static long fresh(void) {
    static long count = 0;
    return count += 100;
}
long answer(long x) {
    static long count;
    (void)x;
    return fresh() + ++count;
}
