// A constructor has run already.
//#PatchgenRefuses: init_array
//#ExpectBefore: 42
static long base;
__attribute__((constructor)) static void prepare(void) { base = 2; }
long answer(long x) { return x + base; }
