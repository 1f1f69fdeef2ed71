// New code of a library uses for the first time its variable, of which the executable has a copy that its code writes.
//#Forms: none
//#Link: shared
//#ExpectBefore: 40
//#ExpectOutput: 48
extern long level;
long level = 1;
long answer(long x) { return x * x - 39 * x; }
