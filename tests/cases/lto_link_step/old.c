// The link-time optimiser's own objects, kept by `-save-temps`, are the code that runs.
//#Cflags: -O2 -flto
//#Pack: link-step
//#Forms: none
//#ExpectBefore: 143
//#ExpectOutput: 150
long part(long x);
static long state = 3;
__attribute__((noipa)) static long helper(long x) { return x + state; }
long answer(long x) { return helper(x) + part(x) - x; }
