// New code calls what the linker was told to replace (`--wrap`), as old code does elsewhere.
//#Forms: none
//#Libraries: -Wl,--wrap=step
//#ExpectBefore: 81
//#ExpectOutput: 281
long step(long x);
long other(long x);
long other(long x) { return step(x) * 3 + 5; }
long answer(long x) { return x * 2 + 1; }
