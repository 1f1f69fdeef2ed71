// Data of libc, reached by copy relocation or through the GOT.
//#ExpectBefore: 40
//#ExpectOutput: 41
#define _GNU_SOURCE
#include <unistd.h>
long answer(long x) { return environ ? x : 0; }
