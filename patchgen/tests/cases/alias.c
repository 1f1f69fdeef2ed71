//#Refused: `other` in `case.o`: it is the name of something else now
int f(int x) { return x + 1; }
int g(int x) { return x + 2; }
#ifdef NEW
extern int other(int) __attribute__((alias("g")));
#else
extern int other(int) __attribute__((alias("f")));
#endif
