// A constructor is gone that has run: what it did stays.
//#In clang O2: NoChange
//#In clang O3: NoChange
//#ExpectBefore: 45
//#PatchgenRefuses: constructor or destructor was removed
static long base;
__attribute__((constructor)) static void setup(void) { base = 5; }
long answer(long x) { return x + base; }
