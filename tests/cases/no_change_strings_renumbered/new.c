#include <string.h>
__attribute__((noipa)) long first(long x);
__attribute__((noipa)) static long length(const char *text) { return (long)strlen(text); }
long first(long x) { return x < 0 ? length("a new string") : x > 1000 ? length("another one") : 0; }
long answer(long x) { return length(x < 0 ? "below" : "abc"); }
