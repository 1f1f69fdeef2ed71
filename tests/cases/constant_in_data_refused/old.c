// A constant changes that live data points to.
//#ExpectBefore: 43
//#PatchgenRefuses: table
static const long table[] = {1, 2, 3};
const long *kept = table;
long answer(long x) { return x + kept[2]; }
