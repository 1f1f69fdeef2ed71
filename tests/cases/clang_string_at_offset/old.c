// The compiler folds a constant into the address of a string, so that it points before the string, or into its neighbour.
//#Compiler: clang
//#Link: no-pie
//#Cflags: -O2 -fno-pic
//#Forms: none
//#Ask: 103
//#ExpectBefore: 54
//#ExpectOutput: 55
long answer(long x) { return "0123456789abcdef"[x - 'a']; }
