// A new static local with a guard begins with the patch.
//#ExpectBefore: 40
//#ExpectOutput: 46
//#ExpectOutput: 47
long source = 5;
__attribute__((noipa)) static long begin() { return source; }
long answer(long x) { return x + 0 * begin(); }
