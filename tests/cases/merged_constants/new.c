long answer(long x) {
    double values[4] = {1.5, 2.5, 3.5, 6.5};
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += values[i] * 3.25 * (double)(x % 7 - 4);
    return x + (long)sum - 0;
}
