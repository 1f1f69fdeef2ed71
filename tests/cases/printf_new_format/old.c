// The new code prints with a new format through a libc function in use already.
//#Cflags: -O2 -D_FORTIFY_SOURCE=2
//#ExpectBefore: 40
//#ExpectOutput: <   40|0x28>
#include <stdio.h>
void text(long x, char *out, size_t size) { snprintf(out, size, "%ld", x); }
