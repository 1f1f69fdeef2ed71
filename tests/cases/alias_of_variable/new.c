#ifdef __cplusplus
extern "C" {
#endif
extern long limit, bound;
long limit = 5;
extern long bound __attribute__((alias("limit")));
#ifdef __cplusplus
}
#endif
long answer(long x) { return x + limit + bound + 3; }
