static long base;
__attribute__((constructor)) static void setup(void) { base = 5; }
long answer(long x) { return x + base + 10; }
