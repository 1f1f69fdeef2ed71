long source = 5;
__attribute__((noipa)) static long begin() { return source; }
__attribute__((noipa)) static long other() {
    static long begun = begin();
    return begun;
}
long answer(long x) {
    static long count = begin();
    return x + other() + ++count;
}
