// New code asks for the first time whether a function that nobody defines is there, and whether one of libc is.
//#ExpectBefore: 41
//#ExpectOutput: 43
#include <stdlib.h>
long answer(long x) { return x + 1; }
