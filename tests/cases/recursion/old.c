// A recursive function calls itself; old never mixes with new.
//#Ask: 10
//#ExpectBefore: 55
//#ExpectOutput: 89
long answer(long x) { return x < 2 ? x : answer(x - 1) + answer(x - 2); }
