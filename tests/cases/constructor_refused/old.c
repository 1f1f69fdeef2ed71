// A constructor has run already.
//#ExpectOutput: 45
//#In clang O2: Patched
//#In clang O3: Patched
//#PatchgenRefuses: init_array
//#ExpectBefore: 42
static long base;
__attribute__((constructor)) static void prepare(void) { base = 2; }
long answer(long x) { return x + base; }
