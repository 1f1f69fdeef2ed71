// The compiler passes a member instead of the structure's address (`.isra`); the clone changes.
//#OldHas: total.isra
//#ExpectBefore: 163
//#ExpectOutput: 164
struct pair {
    long a, b;
};
__attribute__((noinline)) static long total(const struct pair *p, long x) { return x * 3 + p->a; }
long answer(long x) {
    struct pair p = {x, 0};
    return total(&p, x + 1);
}
