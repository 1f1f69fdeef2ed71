// Functions and variables in another order.
//#NoChange
//#ExpectBefore: 152
static long a = 1;
static long b = 2;
long c = 3;
__attribute__((noipa)) static long first(long x) { return x + a + c; }
__attribute__((noipa)) static long second(long x) { return 2 * x + b++; }
long answer(long x) { a += x - x; return first(x) + second(x) + first(1) + second(8) + 4 - b; }
