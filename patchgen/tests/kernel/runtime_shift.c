//#Refused: it shifts by a constant that only the kernel's start fills in
#include "kernel.h"
int show(int x) { return value(x + CHOOSE(1, 2)) + RUNTIME_SHIFT(x, shift); }
