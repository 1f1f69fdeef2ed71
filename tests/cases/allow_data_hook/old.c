// The initial value of live data changed: a hook sets the running variable, another sets it back.
//#Patchgen: --allow-data limit
//#ExpectBefore: 45
//#ExpectOutput: 146
long limit = 5;
long answer(long x) { return x + limit; }
