// A thread-local variable of a shared library by TLS descriptor.
//#Link: shared
//#Cflags: -O2 -mtls-dialect=gnu2
//#OldHas: R_X86_64_GOTPC32_TLSDESC
//#ExpectBefore: 46
//#ExpectOutput: 87
//#AfterRevert: 48
__thread long mine = 5;
long answer(long x) { return x + ++mine; }
