// Two refusals in one object: both are named (the second is checked here, the first by its own case).
//#PatchgenRefuses: second
//#ExpectBefore: 43
long first = 1, second = 2;
long answer(long x) { return x + first + second; }
