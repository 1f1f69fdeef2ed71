// Records of the stack unwinder go with their function, and the list of its places with them.
//#Changed: show
//#Entries: .orc_unwind_ip 8
//#Entries: .orc_unwind 12
//#Entries: .orc_header 0
#include "kernel.h"
#define ORC(at, record) \
	".pushsection .orc_unwind_ip, \"a\"\n.long " at " - .\n.popsection\n" \
	".pushsection .orc_unwind, \"a\"\n" record "\n.popsection\n"
asm(".pushsection .orc_header, \"a\"\n.zero 20\n.popsection");
asm(ORC("show", ".byte 8, 0, 0, 0, 5, 1") ORC("show + 5", ".byte 16, 0, 0, 0, 5, 1"));
asm(ORC("other", ".byte 8, 0, 0, 0, 5, 1"));
int show(int x) { return value(x + CHOOSE(1, 2)); }
int other(int x) { return value(x); }
