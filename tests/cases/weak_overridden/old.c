// A weak function changes that gave way to another object's: what runs is not the old code.
//#ExpectBefore: 140
//#ApplyRefuses: hook
__attribute__((weak, noinline)) long hook(long x);
__attribute__((weak, noinline)) long hook(long x) { return x + 3; }
long answer(long x) { return hook(x); }
