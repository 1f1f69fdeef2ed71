// A new thread-local variable: existing threads have no room for it.
//#PatchgenRefuses: fresh
//#ExpectBefore: 40
long answer(long x) { return x; }
