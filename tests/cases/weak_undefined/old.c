// New code asks whether a function that nobody defines is there.
//#ExpectBefore: 40
//#ExpectOutput: 41
__attribute__((weak)) long missing(long x);
long answer(long x) { return missing ? missing(x) : x; }
