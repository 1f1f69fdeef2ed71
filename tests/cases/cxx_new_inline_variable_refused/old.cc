// A new inline variable may be one that another object of the program brought.
//#Cflags: -O2 -std=c++17
//#ExpectBefore: 40
//#PatchgenRefuses: COMDAT
long answer(long x) { return x; }
