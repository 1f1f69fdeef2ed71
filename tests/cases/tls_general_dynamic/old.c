// A thread-local variable of a shared library, by `__tls_get_addr` (general dynamic).
//#Link: shared
//#OldHas: R_X86_64_TLSGD
//#ExpectBefore: 46
//#ExpectOutput: 87
//#AfterRevert: 48
__thread long mine = 5;
long answer(long x) { return x + ++mine; }
