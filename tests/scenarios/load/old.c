// Two threads call the function that changes, without pause.
//#ExpectBefore: 0
//#ExpectOutput: 0
long answer(long x) { return x + 1; }
