// Hidden and weak symbols of a shared library, which no dynamic symbol names.
//#Link: shared
//#ExpectBefore: 44
//#ExpectOutput: 84
__attribute__((visibility("hidden"), noipa)) long inner(long x) { return x + 1; }
__attribute__((weak, noipa)) long outer(long x) { return x + 3; }
long answer(long x) { return outer(inner(x)); }
