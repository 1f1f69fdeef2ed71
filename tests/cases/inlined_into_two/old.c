// One inlined function drawn into two functions that are both called.
//#ExpectBefore: 3280
//#ExpectOutput: 3360
static inline __attribute__((always_inline)) long step(long x) { return x * 40; }
__attribute__((noipa)) long first(long x) { return step(x); }
__attribute__((noipa)) long second(long x) { return step(x) + x * 2; }
long answer(long x) { return first(x) + second(x); }
