// A variable for each thread, the way out where a new thread-local variable is refused.
//#ExpectBefore: 40
//#ExpectOutput: 41
//#ExpectOutput: 42
long answer(long x) { return x; }
