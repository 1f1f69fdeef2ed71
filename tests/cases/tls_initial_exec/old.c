// A thread-local variable of a shared library at a fixed offset (initial exec).
//#Link: shared
//#Cflags: -O2 -ftls-model=initial-exec
//#OldHas: R_X86_64_GOTTPOFF
//#ExpectBefore: 46
//#ExpectOutput: 87
//#AfterRevert: 48
__thread long mine = 5;
long answer(long x) { return x + ++mine; }
