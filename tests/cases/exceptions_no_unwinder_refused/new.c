long sink;
static void tidy(long *x) { sink = *x; }
__attribute__((noipa)) long work(long *x) { return *x + 1; }
long answer(long x) {
    long mine __attribute__((cleanup(tidy))) = x;
    return work(&mine);
}
