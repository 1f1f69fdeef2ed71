// The source tells that a changed function shall stay as it is, with kpatch's macro.
//#Flags: -fno-inline
//#Changed: show
//#NotNew: other
#include "kernel.h"
#define KPATCH_IGNORE_FUNCTION(function) \
	void *__kpatch_ignore_func_##function __attribute__((section(".kpatch.ignore.functions"))) = function
int other(int x) { return value(x + CHOOSE(1, 2)); }
int show(int x) { return other(x) + CHOOSE(3, 4); }
#ifdef NEW
KPATCH_IGNORE_FUNCTION(other);
#endif
