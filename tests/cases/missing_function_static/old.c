// A static program does not contain the libc function that the new code calls.
//#Link: static
//#Cflags: -O2 -fno-builtin
//#ExpectBefore: 40
//#ApplyRefuses: lgamma_r
long answer(long x) { return x; }
