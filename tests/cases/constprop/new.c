__attribute__((noinline)) static long scale(long x, long factor) {
    for (long i = 0; i < factor; i++)
        x += 20 + (x & i);
    return x + 43;
}
long answer(long x) { return scale(x, 5); }
