// Tracepoints that there are stay where they are, with their keys.
//#Changed: show
//#Livepatch: __tracepoint_known
//#Entries: __jump_table 16
//#Entries: __tracepoints 0
#include "kernel.h"
struct tracepoint { const char *name; struct static_key key; void *funcs; };
static const char name[] __attribute__((section("__tracepoints_strings"))) = "known";
static struct tracepoint __tracepoint_known __attribute__((used, section("__tracepoints"))) = { name };
static struct tracepoint *pointer __attribute__((used, section("__tracepoints_ptrs"))) = &__tracepoint_known;
int show(int x)
{
	if (static_branch(&__tracepoint_known.key))
		use(&__tracepoint_known);
	return value(x + CHOOSE(1, 2));
}
