__attribute__((weak, noinline)) long hook(long x);
__attribute__((weak, noinline)) long hook(long x) { return x + 10; }
long answer(long x) { return hook(x); }
