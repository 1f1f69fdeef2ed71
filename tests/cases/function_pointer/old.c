// The address of a patched function stays its identity: pointers taken by old and new code are equal.
//#ExpectBefore: 1 41
//#ExpectOutput: 1 42
long (*self(void))(long);
long answer(long x) { return x + 1; }
long (*self(void))(long) { return answer; }
