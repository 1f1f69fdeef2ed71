// Constants of clang's: names that no symbol table has, in sections of their own.
//#Changed: show
//#Livepatch: other
#include "kernel.h"
#define CONSTANT(name, text) \
	asm(".pushsection .rodata." name ", \"a\", @progbits\n" name ": .asciz \"" text "\"\n.popsection")
CONSTANT(".L__const.show.text", "same");
CONSTANT(".L__unnamed_1", CHOOSE("one", "two"));
extern const char constant[] __asm__(".L__const.show.text"), unnamed[] __asm__(".L__unnamed_1");
static noinline int other(int x) { use(constant); return value(x); }
int show(int x) { use(constant); use(unnamed); return other(x); }
