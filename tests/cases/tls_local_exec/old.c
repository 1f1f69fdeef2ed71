// A thread-local variable of the executable (local exec).
//#OldHas: R_X86_64_TPOFF32
//#ExpectBefore: 46
//#ExpectOutput: 87
//#AfterRevert: 48
__thread long mine = 5;
long answer(long x) { return x + ++mine; }
