// With `--target` it is known that nothing in the program has the new inline variable.
//#Cflags: -O2 -std=c++17
//#Target
//#ExpectBefore: 40
//#ExpectOutput: 43
//#ExpectOutput: 44
long answer(long x) { return x; }
