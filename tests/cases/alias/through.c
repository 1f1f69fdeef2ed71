#ifdef __cplusplus
extern "C" {
#endif
long plus(long x);
long through(long x);
long through(long x) { return plus(x); }
#ifdef __cplusplus
}
#endif
