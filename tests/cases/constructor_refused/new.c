static long base, other;
__attribute__((constructor)) static void prepare(void) { base = 2; }
__attribute__((constructor)) static void prepare_more(void) { other = 3; }
long answer(long x) { return x + base + other; }
