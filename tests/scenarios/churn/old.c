// Threads come and go all the time; each calls the function that changes.
//#ExpectBefore: 0
//#ExpectOutput: 0
long answer(long x) { return x + 1; }
