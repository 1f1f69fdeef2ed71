long answer(long x) {
    int values[32];
    for (int i = 0; i < 32; i++)
        values[i] = i % 8;
    long sum = 0;
    for (int i = 0; i < 32; i++)
        sum += values[i] * 11 - 19;
    return x + sum - 8;
}
