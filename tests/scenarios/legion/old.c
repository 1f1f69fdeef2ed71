// More threads than any list of ours was made for.
//#ExpectBefore: 41
//#ExpectOutput: 42
long answer(long x) { return x + 1; }
