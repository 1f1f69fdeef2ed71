// A process whose address space around the code is full.
//#ExpectBefore: 41
//#ExpectOutput: 42
long answer(long x) { return x + 1; }
