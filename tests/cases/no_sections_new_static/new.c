static long calls;
static long others = 1;
long answer(long x) { return x + ++calls + 1000 * others++ + 1; }
