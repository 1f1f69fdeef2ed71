// A constant table indexed by the function changes with it.
//#Ask: 2
//#ExpectBefore: 9
//#ExpectOutput: 90
static const long table[] = {1, 4, 9, 16};
long answer(long x) { return table[x & 3]; }
