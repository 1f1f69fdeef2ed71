// A thread-local variable of C++ with a constant initial value.
//#ExpectBefore: 44
//#ExpectBefore: 45
//#ExpectOutput: 146
//#AfterRevert: 47
thread_local long calls = 3;
long answer(long x) { return x + ++calls; }
