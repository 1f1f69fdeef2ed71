// A new variable with an initialiser that must run.
//#ExpectOutput: 45
//#In clang O2: Patched
//#In clang O3: Patched
//#ExpectBefore: 40
//#PatchgenRefuses: constructor or destructor was added
__attribute__((noipa)) static long begin() { return 5; }
long answer(long x) { return x + 0 * begin(); }
