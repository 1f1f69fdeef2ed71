long c = 3;
static long b = 2;
static long a = 1;
long answer(long x);
__attribute__((noipa)) static long second(long x) { return 2 * x + b++; }
__attribute__((noipa)) static long first(long x) { return x + a + c; }
long answer(long x) { a += x - x; return first(x) + second(x) + first(1) + second(8) + 4 - b; }
