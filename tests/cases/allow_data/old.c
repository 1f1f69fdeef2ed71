// The author says that the running value of a variable is the right one though its initial value changed.
//#Patchgen: --allow-data limit
//#ExpectBefore: 140
//#ExpectOutput: 141
long limit = 100;
long answer(long x) { return x + limit; }
