// Two static thread-local variables of a shared library (local dynamic).
//#Link: shared
//#OldHas: R_X86_64_TLSLD
//#ExpectBefore: 47
//#ExpectOutput: 88
//#AfterRevert: 51
static __thread long mine = 5, yours;
long answer(long x) { return x + ++mine + ++yours; }
