// A protected variable and function of a shared library.
//#Link: shared
//#ExpectBefore: 46
//#ExpectOutput: 60
__attribute__((visibility("protected"))) extern long base;
__attribute__((visibility("protected"))) long base = 5;
__attribute__((visibility("protected"), noipa)) long add(long x);
__attribute__((visibility("protected"), noipa)) long add(long x) { return x + base; }
long answer(long x) { return add(x) + 1; }
