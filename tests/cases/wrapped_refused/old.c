// New code calls for the first time what the linker was told to replace (`--wrap`).
//#Forms: none
//#Libraries: -Wl,--wrap=step
//#ExpectBefore: 81
//#ApplyRefuses: the program has `__wrap_step`, too
long answer(long x) { return x * 2 + 1; }
