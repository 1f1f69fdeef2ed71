// New code with a function of its own, in which a thread runs until it is told to leave.
//#Cflags: -O2 -g
//#ExpectBefore: 1
//#ExpectOutput: 2
#include <stdatomic.h>
extern atomic_int stay, inside;
long slow(void) { return 1; }
