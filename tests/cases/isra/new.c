struct pair {
    long a, b;
};
__attribute__((noinline)) static long total(const struct pair *p, long x) { return 1 + x * 3 + p->a; }
long answer(long x) {
    struct pair p = {x, 0};
    return total(&p, x + 1);
}
