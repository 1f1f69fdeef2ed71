// An instance of a template, in a COMDAT group, changes.
//#ExpectBefore: 82
//#ExpectOutput: 84
template <typename T> __attribute__((noinline)) T twice(T x) { return x * 2 + 1; }
template long twice<long>(long);
long answer(long x) { return twice(x) + (long)twice(0.1) ; }
