// Which functions nobody calls by pointer, what is left out of the module, and what only tools read.
//#Changed: show
//#Entries: .ibt_endbr_seal 0
//#Entries: .discard.addressable 0
//#Entries: .discard.annotate_insn 0
//#Entries: _kprobe_blacklist 0
//#Entries: __patchable_function_entries 0
#include "kernel.h"
#define LIST(section, flags) ".pushsection " section ", " flags "\n.long show - .\n.long other - .\n.popsection\n"
asm(LIST(".ibt_endbr_seal", "\"a\"") LIST(".discard.annotate_insn", "\"M\",@progbits,8"));
asm(".pushsection _kprobe_blacklist, \"aw\"\n.quad show\n.popsection");
asm(".pushsection __patchable_function_entries, \"awo\", @progbits, show\n.quad show\n.popsection");
int show(int x) { return value(x + CHOOSE(1, 2)); }
static void *__UNIQUE_ID___addressable_other_7 __attribute__((used, section(".discard.addressable"))) = &value;
int other(int x) { return value(x); }
