//#Refused: cannot be told
int keep(void);
#ifdef NEW
static int __attribute__((noinline)) other(void) { static int state = 1; return state++; }
int f(void) { return other() + keep(); }
#else
int f(void) { static int state = 1; return state++ + keep(); }
#endif
