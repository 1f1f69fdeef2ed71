// A new variable with an initialiser that must run.
//#ExpectBefore: 40
//#PatchgenRefuses: constructor or destructor was added
__attribute__((noipa)) static long begin() { return 5; }
long answer(long x) { return x + 0 * begin(); }
