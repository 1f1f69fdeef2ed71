// New code of a library uses for the first time a variable that the executable defines, too.
//#Forms: none
//#Link: shared
//#ExpectBefore: 40
//#ExpectOutput: 47
extern long level;
long level = 1;
long answer(long x) { return x * x - 39 * x; }
