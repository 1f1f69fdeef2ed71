// Hooks run in each phase, once, on a thread of the program.
//#ExpectBefore: 40
//#ExpectOutput: 151
//#AfterRevert: 111151
long state;
long answer(long x) { return x + state; }
