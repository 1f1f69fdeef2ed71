// A hook in a fix that changes no function: there is no moment at which it would be applied.
//#ExpectBefore: 45
//#PatchgenRefuses: it is a hook, and no function changes
long limit = 5;
long answer(long x) { return x + limit; }
