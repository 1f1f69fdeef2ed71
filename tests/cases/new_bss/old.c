// The new code brings zeroed data of more than a page.
//#ExpectBefore: 40
//#ExpectOutput: 41
//#ExpectOutput: 42
long answer(long x) { return x; }
