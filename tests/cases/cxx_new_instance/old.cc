// New code uses an instance of a template that the program has not.
//#ExpectBefore: 81
//#ExpectOutput: 97
template <typename T> __attribute__((noinline)) T twice(T x) { return x * 2 + 1; }
long answer(long x) { return twice(x); }
