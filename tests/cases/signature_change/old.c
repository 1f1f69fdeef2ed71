// A static function gets another parameter; its caller changes with it.
//#ExpectBefore: 42
//#ExpectOutput: 47
__attribute__((noinline)) static long add(long x) { return x + 2; }
long answer(long x) { return add(x); }
