template <typename T> __attribute__((noinline)) T twice(T x) { return x * 2 + 1; }
long answer(long x) { return twice(x) + (long)twice((short)7) + 1; }
