// A variable whose type has no name.
//#Refused: `variable limits` in `old.o`: its layout changed
#ifdef NEW
struct { int high, low; } limits = {0, 0};
#else
struct { int low, high; } limits = {0, 0};
#endif
int inside(int x) { return x >= limits.low && x <= limits.high; }
