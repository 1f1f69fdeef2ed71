// An inline function lies in two objects, and the linker took one copy.
//#Pack: archive
//#ExpectBefore: 124
//#ExpectOutput: 138
inline __attribute__((noinline)) long shared(long x) { return x * 3; }
long elsewhere(long x);
long answer(long x) { return shared(x) + elsewhere(x) - 116; }
