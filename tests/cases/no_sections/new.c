static long count = 1;
__attribute__((noipa)) static long first(long x) { return x + count; }
__attribute__((noipa)) static long third(long x) { return x + 3 * count; }
__attribute__((noipa)) static long second(long x) { return third(x) + x - count; }
long answer(long x) { return first(x) + second(x) + count; }
