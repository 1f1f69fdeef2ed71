// A weak function changes that no other object overrides.
//#ExpectBefore: 43
//#ExpectOutput: 50
__attribute__((weak, noinline)) long hook(long x);
__attribute__((weak, noinline)) long hook(long x) { return x + 3; }
long answer(long x) { return hook(x); }
