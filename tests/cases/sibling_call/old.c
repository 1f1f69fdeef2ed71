// The old function ends in a jump to another function.
//#ExpectBefore: 42
//#ExpectOutput: 43
__attribute__((noipa)) long last(long x) { return x + 1; }
long answer(long x) { return last(x + 1); }
