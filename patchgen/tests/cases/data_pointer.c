//#Refused: `names` in `case.o`: the initial value of a live variable changed
#ifdef NEW
const char *names[] = { "one", "three" };
#else
const char *names[] = { "one", "two" };
#endif
const char *f(int i) { return names[i]; }
