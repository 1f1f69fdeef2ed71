//#Refused: new data in section `__tracepoints`, whose meaning is not known
#include "kernel.h"
struct tracepoint { const char *name; struct static_key key; void *funcs; };
#ifdef NEW
static const char name[] __attribute__((section("__tracepoints_strings"))) = "fresh";
static struct tracepoint __tracepoint_fresh __attribute__((used, section("__tracepoints"))) = { name };
static struct tracepoint *pointer __attribute__((used, section("__tracepoints_ptrs"))) = &__tracepoint_fresh;
#endif
int show(int x)
{
#ifdef NEW
	if (static_branch(&__tracepoint_fresh.key))
		use(&__tracepoint_fresh);
#endif
	return value(x + CHOOSE(1, 2));
}
