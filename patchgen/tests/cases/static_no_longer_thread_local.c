//#Refused: `depth` in
//#Refused: it was a thread-local variable and is a variable now
#ifdef NEW
static int depth;
#else
static __thread int depth;
#endif
int f(int x) { depth += x; return depth; }
