// A library's function and its caller change; the executable has the function, too, and that is what is called.
//#Forms: none
//#Link: shared
//#ExpectBefore: 142
//#ApplyRefuses: new code calls the new `step`
long step(long x);
long step(long x) { return x * 5 + 1; }
long answer(long x) { return step(x) + 2; }
