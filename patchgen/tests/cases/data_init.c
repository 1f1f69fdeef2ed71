//#Refused: `limit` in `case.o`: the initial value of a live variable changed
//#Refusals: 1
#ifdef NEW
int limit = 6;
#else
int limit = 5;
#endif
int f(void) { return limit; }
