long source = 5;
__attribute__((noipa)) static long begin() { return source; }
long answer(long x) {
    static long count = begin();
    return x + ++count;
}
