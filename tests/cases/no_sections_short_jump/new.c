long total;
__attribute__((noipa)) static long add(long x) { return x + total; }
long answer(long x) {
    total = 201;
    return add(x + 2);
}
