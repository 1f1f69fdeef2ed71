__attribute__((visibility("hidden"), noipa)) long inner(long x) { return x * 2 + 1; }
__attribute__((weak, noipa)) long outer(long x) { return x + 3; }
long answer(long x) { return outer(inner(x)); }
