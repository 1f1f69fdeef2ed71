// A hook that crashes harms nobody else.
//#ExpectBefore: 40
//#ApplyRefuses: crashed (signal 11)
long answer(long x) { return x; }
