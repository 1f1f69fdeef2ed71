// Nothing but comments, names of locals and line numbers differ.
//#Cflags: -O2 -g
//#NoChange
//#ExpectBefore: 41
long answer(long x) { return x + 1; }
