#include <stdlib.h>
__attribute__((weak)) long missing(long x);
extern __typeof(rand) rand __attribute__((weak));
long answer(long x) { return missing ? missing(x) : rand ? x + 3 : x; }
