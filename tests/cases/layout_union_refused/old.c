union value { int number; struct { short low, high; } halves; };
static volatile union value value = {0x20001};
long answer(long x) { return x + value.halves.low; }
// Inside a structure that has no name.
//#Cflags: -O2 -g
//#ExpectBefore: 41
//#PatchgenRefuses: `union value` in `patch.o`: its layout changed
