// New code of a library calls for the first time what the executable defines, too.
//#Forms: none
//#Link: shared
//#ExpectBefore: 82
//#ExpectOutput: 182
long step(long x);
long step(long x) { return x + 1; }
long twice(long x);
long twice(long x) { return 2 * x; }
long answer(long x) { return twice(x) + 2; }
