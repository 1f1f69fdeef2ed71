static long fibonacci(long a, long b, long n);
__attribute__((noipa)) long pass(long a, long b, long n) { return fibonacci(b, a + b, n - 1); }
__attribute__((noipa)) static long fibonacci(long a, long b, long n) { return n ? pass(a, b, n) : a; }
long answer(long x) { return fibonacci(0, 1, x); }
