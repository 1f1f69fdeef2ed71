//#Unchanged:
//#FlagsOld: -fmacro-prefix-map=case.c=/build/one/case.c
//#FlagsNew: -fmacro-prefix-map=case.c=/home/two/src/case.c
#include <assert.h>
int puts(const char *);
int f(int x) { assert(x > 3); return puts(__FILE__); }
