// Another object has a static function of the same name; the running code tells them apart.
//#ExpectBefore: 87
//#ExpectOutput: 107
__attribute__((noipa)) static long helper(long x) { return x + 3; }
long elsewhere(long x);
long answer(long x) { return helper(x) + elsewhere(x); }
