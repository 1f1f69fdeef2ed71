// With -fcf-protection the entry is an `endbr64`: it stays, so that indirect calls still land on one.
//#Cflags: -O2 -fcf-protection
//#ExpectBefore: endbr64 41
//#ExpectOutput: endbr64 42
long answer(long x) { return x + 1; }
