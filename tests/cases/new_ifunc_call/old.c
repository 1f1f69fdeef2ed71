// The new code calls libc functions that are resolved by the processor (IFUNC), not imported before.
//#Cflags: -O2 -fno-builtin
//#ExpectBefore: 40
//#ExpectOutput: 409
long answer(long x) { return x; }
