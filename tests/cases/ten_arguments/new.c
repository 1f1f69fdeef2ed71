long sum(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j) {
    return a * a + b * b + c * c + d * d + e * e + f * f + g * g + h * h + i * i + j * j;
}
