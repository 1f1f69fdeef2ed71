template <typename T> __attribute__((noinline)) T twice(T x) { return x * 2 + 2; }
template long twice<long>(long);
long answer(long x) { return twice(x) + (long)twice(0.1); }
