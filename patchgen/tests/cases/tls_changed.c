//#Refused: `mine` in `case.o`: the initial value of a thread-local variable changed
#ifdef NEW
__thread int mine = 5;
#else
__thread int mine = 4;
#endif
int f(int x) { mine += x; return mine; }
