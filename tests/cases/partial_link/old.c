// Objects joined by `ld -r`: statics of the same name come from several source files.
//#Pack: partial
//#ExpectBefore: 87
//#ExpectOutput: 107
long elsewhere(long x);
static long state = 3;
__attribute__((noipa)) static long helper(long x) { return x + state; }
long answer(long x) { return helper(x) + elsewhere(x); }
