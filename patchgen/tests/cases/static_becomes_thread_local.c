//#Refused: `depth` in
//#Refused: it was a variable and is a thread-local variable now
#ifndef NEW
static int depth;
#else
static __thread int depth;
#endif
int f(int x) { depth += x; return depth; }
