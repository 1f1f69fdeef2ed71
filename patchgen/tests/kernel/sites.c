// What objtool lists about code: returns and calls through thunks, calls that are counted. Each goes with its function.
//#Changed: show
//#Entries: .return_sites 4
//#Entries: .retpoline_sites 4
//#Entries: .call_sites 4
#include "kernel.h"
#define SITES \
	asm volatile("1: jmp __x86_return_thunk\n2: call __x86_indirect_thunk_rax\n3: call value\n" \
		     ".pushsection .return_sites, \"a\"\n.long 1b - .\n.popsection\n" \
		     ".pushsection .retpoline_sites, \"a\"\n.long 2b - .\n.popsection\n" \
		     ".pushsection .call_sites, \"a\"\n.long 3b - .\n.popsection" : : : "memory")
int show(int x) { SITES; return value(x + CHOOSE(1, 2)); }
int other(int x) { SITES; return value(x); }
