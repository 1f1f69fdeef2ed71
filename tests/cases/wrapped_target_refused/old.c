// New code calls for the first time what the linker was told to replace: the target tells, the process has no symbols.
//#Forms: none
//#Libraries: -Wl,--wrap=step
//#Target
//#Strip: all
//#ExpectBefore: 81
//#PatchgenRefuses: for which there is `__wrap_step`
long answer(long x) { return x * 2 + 1; }
