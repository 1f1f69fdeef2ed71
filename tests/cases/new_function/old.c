// The new code brings functions of its own, static and global, that call each other.
//#ExpectBefore: 40
//#ExpectOutput: 102334155
long answer(long x) { return x; }
