// Arguments in registers and on the stack reach the new function.
//#ExpectBefore: 45
//#ExpectOutput: 385
long sum(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j) {
    return a + b + c + d + e + f + g + h + i + j - 10;
}
