struct flags { unsigned kind : 3, level : 5; };
static volatile struct flags flags = {1, 2};
long answer(long x) { return x + flags.level; }
// A bit-field became wider.
//#Cflags: -O2 -gdwarf-4 -gstrict-dwarf
//#ExpectBefore: 42
//#PatchgenRefuses: field `kind` was at offset 0, bits 0 to 2, and is at offset 0, bits 0 to 3; field `level` was at offset 0, bits 3 to 7, and is at offset 0, bits 4 to 8
