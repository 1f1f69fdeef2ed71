__attribute__((noipa)) static long step(long x) { return x; }
long answer(long x) {
    long sum = 0;
    for (long i = 0; i < x; i++)
        sum += step(i);
    return sum;
}
