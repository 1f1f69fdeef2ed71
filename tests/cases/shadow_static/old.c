// A shadow variable for each thread, linked: static.
//#Link: static
//#ExpectBefore: 40
//#ExpectOutput: 41
//#ExpectOutput: 42
long answer(long x) { return x; }
