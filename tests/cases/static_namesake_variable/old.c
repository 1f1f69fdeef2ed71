// New code is the first to use a variable of libc whose name a static variable of another file has.
//#Forms: none
//#Cflags: -O2 -fPIC
//#ExpectBefore: 3
//#ExpectOutput: 4
long other(long x);
long answer(long x) { return other(1) + 0 * x; }
