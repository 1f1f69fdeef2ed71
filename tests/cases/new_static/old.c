// The new code brings static data, constant and writable, and a pointer between them.
//#ExpectBefore: 40
//#ExpectOutput: 47
//#ExpectOutput: 51
long answer(long x) { return x; }
