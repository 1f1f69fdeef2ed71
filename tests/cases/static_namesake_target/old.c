// The same, checked against the executable when the patch is made.
//#Forms: none
//#Target
//#Cflags: -O2 -fno-builtin
//#ExpectBefore: 778
//#ExpectOutput: 818
long other(long x);
long answer(long x) { return other(1) + 0 * x; }
