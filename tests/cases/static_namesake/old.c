// New code is the first to call a function of libc whose name a static function of another file has.
//#Forms: none
//#Cflags: -O2 -fno-builtin
//#ExpectBefore: 778
//#ExpectOutput: 818
long other(long x);
long answer(long x) { return other(1) + 0 * x; }
