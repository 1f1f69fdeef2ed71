// Floating-point and vector constants of 8 and 16 bytes, which the linker merges.
//#ExpectBefore: 61
//#ExpectOutput: 85
long answer(long x) {
    double values[4] = {1.5, 2.5, 3.5, 4.5};
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += values[i] * 1.75 * (double)(x % 7 - 4);
    return x + (long)sum;
}
