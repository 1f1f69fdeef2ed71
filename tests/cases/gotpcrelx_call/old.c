// Calls through the GOT (`-fno-plt`): relaxed to a direct call, and not relaxed for libc.
//#Cflags: -O2 -fno-plt -fno-builtin
//#OldHas: R_X86_64_GOTPCRELX
//#ExpectBefore: 43
//#ExpectOutput: 44
#include <stdlib.h>
long elsewhere(long);
long answer(long x) { return elsewhere(x) + labs(-2); }
