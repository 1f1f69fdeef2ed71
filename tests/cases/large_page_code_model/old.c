// The medium code model and no relaxation by the assembler.
//#In gcc O0: ApplyRefuses: was not found in the running program
//#In clang: ApplyRefuses: was not found in the running program
//#Cflags: -O2 -mcmodel=medium
//#ExpectBefore: 21
//#ExpectOutput: 1022
//#AfterRevert: 23
extern long calls;
long calls;
__attribute__((noipa)) static long half(long x) { return x / 2; }
long answer(long x) { return half(x) + ++calls; }
