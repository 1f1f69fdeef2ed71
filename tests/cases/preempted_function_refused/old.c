// The same in a library that may have been linked with `-Bsymbolic-functions`: it calls none that it exports.
//#Forms: none
//#Link: shared
//#ExpectBefore: 82
//#ApplyRefuses: has a function `step`, too
long step(long x);
long step(long x) { return x + 1; }
__attribute__((noinline)) static long twice(long x) { return 2 * x; }
long answer(long x) { return twice(x) + 2; }
