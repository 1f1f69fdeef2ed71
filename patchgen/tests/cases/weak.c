//#Refused: it became weak, or is weak no more
#ifdef NEW
__attribute__((weak))
#endif
int f(int x) { return x + 1; }
