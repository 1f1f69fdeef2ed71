// The new code calls a libc function that the program does not import.
//#ExpectBefore: 40
//#ExpectOutput: 1
long answer(long x) { return x; }
