//#Flags: -g
//#Refused: `before` in `case.o`: it is gone, and `now`, which is new where it was used, may be the same one by another name
//#Refusals: 1
#ifdef NEW
#define before now
#endif
int before = 3;
int f(int x) { return before += x; }
