// A new common variable may be one that runs already.
//#Cflags: -O2 -fcommon
//#Forms: c
//#ExpectBefore: 40
//#PatchgenRefuses: common symbol `fresh`
long answer(long x) { return x; }
