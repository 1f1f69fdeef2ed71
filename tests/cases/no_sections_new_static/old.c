// A new static variable beside an existing one, in one section: accesses name their place.
//#NoSections
//#Ask: 5
//#ExpectBefore: 6
//#ExpectBefore: 7
//#ExpectOutput: 1009
//#ExpectOutput: 2010
//#AfterRevert: 10
static long calls;
long answer(long x) { return x + ++calls; }
