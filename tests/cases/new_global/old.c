// The new code brings a global variable with a value.
//#ExpectBefore: 40
//#ExpectOutput: 540
//#ExpectOutput: 541
long answer(long x) { return x; }
