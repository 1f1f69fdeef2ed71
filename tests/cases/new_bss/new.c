static long many[3000];
static long used;
long answer(long x) {
    many[2999 - used] = ++used;
    long sum = 0;
    for (long i = 0; i < 3000; i++)
        sum += many[i] != 0;
    return x + sum;
}
