#define _GNU_SOURCE
#include <unistd.h>
long answer(long x) { return environ ? x + 1 : 0; }
