// An inline variable, which every object that uses it defines.
//#ExpectBefore: 43
//#ExpectBefore: 44
//#ExpectOutput: 145
//#AfterRevert: 46
//#Cflags: -O2 -std=c++17
inline long shared = 2;
long answer(long x) { return x + ++shared; }
