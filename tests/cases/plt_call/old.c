// A reference through the PLT to an imported function, in old and new code.
//#Cflags: -O2 -fno-builtin
//#ExpectBefore: 43
//#ExpectOutput: 46
#include <stdlib.h>
long answer(long x) { return labs(-x) + labs(-3); }
