// New code calls for the first time a hidden function of a stripped program, whose name a function of libc has.
//#Forms: none
//#Cflags: -O2 -fno-builtin
//#Strip: all
//#ExpectBefore: 41
//#ApplyRefuses: `labs`
long answer(long x) { return x + 1; }
