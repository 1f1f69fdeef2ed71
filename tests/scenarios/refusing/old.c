// A patch that would take another one's place, and whose hook refuses afterwards.
//#ExpectBefore: 41
//#ExpectOutput: 42
long answer(long x) { return x + 1; }
