// A hook in the stop that is not ready at first is asked again in later stops.
//#ExpectBefore: 40
//#ExpectOutput: 43
//#AfterRevert: 43
long asked;
long answer(long x) { return x + asked; }
