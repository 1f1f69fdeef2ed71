#define PASSED 2
#include "../tail/old.c"
