// A constructor that has run and does not change is no obstacle.
//#OldHas: .init_array
//#ExpectBefore: 45
//#ExpectOutput: 55
static long base;
__attribute__((constructor)) static void setup(void) { base = 5; }
long answer(long x) { return x + base; }
