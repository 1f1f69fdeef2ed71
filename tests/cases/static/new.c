#include <stdlib.h>
extern long calls;
long calls;
__attribute__((noipa)) static long half(long x) { return x / 2; }
long answer(long x) { return half(labs(-x)) + ++calls + 1000; }
