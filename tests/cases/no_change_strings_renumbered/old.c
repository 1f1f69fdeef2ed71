// A new string before others renumbers them all; only the function that uses it changed.
//#ExpectBefore: 3
//#ExpectOutput: 3
//#ExpectOutput: 3
#include <string.h>
__attribute__((noipa)) long first(long x);
__attribute__((noipa)) static long length(const char *text) { return (long)strlen(text); }
long first(long x) { return x < 0 ? length("negative") : 0; }
long answer(long x) { return length(x < 0 ? "below" : "abc"); }
