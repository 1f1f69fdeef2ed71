//#Flags: -g0
//#Refused: it is gone, and without debug information it cannot be told
#ifdef NEW
int f(int x) { return x * x > 10; }
#else
static int limit = 10;
void set(int x);
void set(int x) { limit = x; }
int f(int x) { return x * x > limit; }
#endif
