//#Refused: `fresh` in `case.o`: a new thread-local variable
#ifdef NEW
static __thread int fresh;
int f(int x) { fresh += x; return fresh; }
#else
int f(int x) { return x; }
#endif
