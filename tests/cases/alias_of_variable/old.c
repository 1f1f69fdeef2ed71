// A variable with two names is one variable.
//#ExpectBefore: 45
//#ExpectOutput: 53
#ifdef __cplusplus
extern "C" {
#endif
extern long limit, bound;
long limit = 5;
extern long bound __attribute__((alias("limit")));
#ifdef __cplusplus
}
#endif
long answer(long x) { return x + limit; }
