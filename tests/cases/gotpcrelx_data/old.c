// Data through the GOT; the linker relaxed the load into an address in the running program.
//#Cflags: -O2 -fPIC
//#OldHas: R_X86_64_REX_GOTPCRELX
//#ExpectBefore: 41
//#ExpectOutput: 1042
//#AfterRevert: 43
extern long counter;
long answer(long x) { return x + ++counter; }
