// A patch brings in a function and a variable, which the next one uses elsewhere.
//#ExpectBefore: 41
//#ExpectOutput: 43
__attribute__((noipa)) static long step(unsigned long x) { return x * 3 / 3 + 1; }
__attribute__((noipa)) static long last(unsigned long x) { return x * 5 / 5; }
long answer(long x) { return last(step(x)); }
