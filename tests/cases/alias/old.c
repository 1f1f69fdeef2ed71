// A function with two names changes; calls by either reach the new code.
//#ExpectBefore: 87
//#ExpectOutput: 101
#ifdef __cplusplus
extern "C" {
#endif
long add(long x);
long plus(long x);
long through(long x);
__attribute__((noipa)) long add(long x) { return x + 3; }
long plus(long x) __attribute__((alias("add")));
#ifdef __cplusplus
}
#endif
long answer(long x) { return add(x) + through(x) + 1; }
