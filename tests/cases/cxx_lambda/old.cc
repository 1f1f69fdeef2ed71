// Lambdas are numbered in the order in which the compiler meets them.
//#ExpectBefore: 52
//#ExpectOutput: 160
long calls;
template <typename F> __attribute__((noinline)) static long apply(F f, long x) { return f(x) + ++calls - calls; }
long answer(long x) {
    return apply([](long y) { return y + 2; }, x) + apply([x](long y) { return y + x - 30; }, 0);
}
