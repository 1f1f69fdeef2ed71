// The old user of a static local is another function than the one that calls the new user.
//#Refused: it cannot be told which existing variable it is
#include "kernel.h"
#ifdef NEW
static noinline int inner(int x) { static int count = 3; use(&count); return count += x; }
int first(int x) { return value(x); }
int second(int x) { return inner(x) + value(x); }
#else
int first(int x) { static int count = 3; use(&count); return value(x) + (count += x); }
int second(int x) { return value(x); }
#endif
