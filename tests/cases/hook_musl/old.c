// The hooks of a program with another C library or linkage: musl.
//#Link: musl
//#ExpectBefore: 40
//#ExpectOutput: 151
//#AfterRevert: 111151
long state;
long answer(long x) { return x + state; }
