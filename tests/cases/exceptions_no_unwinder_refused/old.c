// C code that cleans up while exceptions pass, in a program that has no unwinder.
//#Forms: none
//#Cflags: -O2 -fexceptions
//#ExpectBefore: 41
//#ApplyRefuses: new code handles exceptions, and the process has no unwinder
long answer(long x) { return x + 1; }
