// The padding before a function, which has a name of its own, travels with it.
//#Flags: -fpatchable-function-entry=16,16 -fno-inline
//#Changed: show
//#Functions: show __pfx_show
#include "kernel.h"
int other(int x) { return value(x); }
int show(int x) { return other(x + CHOOSE(1, 2)); }
asm(".pushsection .text.show\n.type __pfx_show, @function\n__pfx_show = show - 16\n.size __pfx_show, 16\n.popsection");
