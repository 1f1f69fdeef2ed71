// Five no-operations at each entry, listed in `__patchable_function_entries`.
//#Cflags: -O2 -fpatchable-function-entry=5
//#OldHas: __patchable_function_entries
//#ExpectBefore: 41
//#ExpectOutput: 45
__attribute__((noipa)) static long step(long x) { return x + 1; }
long answer(long x) { return step(x); }
