// The same, linked by lld, which does not tell statics from what it made local.
//#Forms: none
//#Libraries: -fuse-ld=lld
//#Cflags: -O2 -fno-builtin
//#ExpectBefore: 778
//#ApplyRefuses: a local symbol of the program is called `labs`
long other(long x);
long answer(long x) { return other(1) + 0 * x; }
