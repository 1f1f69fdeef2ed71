#ifdef __cplusplus
extern "C" {
#endif
long add(long x);
long plus(long x);
long through(long x);
__attribute__((noipa)) long add(long x) { return x + 10; }
long plus(long x) __attribute__((alias("add")));
#ifdef __cplusplus
}
#endif
long answer(long x) { return add(x) + through(x) + 1; }
