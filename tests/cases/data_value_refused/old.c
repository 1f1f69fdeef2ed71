// The initial value of a live variable changes: what should its value be now?
//#PatchgenRefuses: limit
//#ExpectBefore: 140
long limit = 100;
long answer(long x) { return x + limit; }
