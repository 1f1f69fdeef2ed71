__attribute__((cold, noipa)) static long rare(long x) { return x; }
long answer(long x) {
    if (x < 0)
        return rare(x * 4) * 5;
    return x + 1;
}
