// Vector instructions with constants of 16 and 32 bytes.
//#Cflags: -O2 -mavx2 -ftree-vectorize
//#ExpectBefore: 400
//#ExpectOutput: 656
long answer(long x) {
    int values[32];
    for (int i = 0; i < 32; i++)
        values[i] = i % 8;
    long sum = 0;
    for (int i = 0; i < 32; i++)
        sum += values[i] * 7 - 13;
    return x + sum - 8;
}
