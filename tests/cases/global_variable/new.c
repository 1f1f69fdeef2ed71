long total = 10;
long extra;
long answer(long x) {
    (void)x;
    extra = 20;
    total += 1 + extra;
    extra = 0;
    return total;
}
