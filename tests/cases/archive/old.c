// The objects are members of archives; one of them changes.
//#Pack: archive
//#ExpectBefore: 45
//#ExpectOutput: 53
long part(long x);
long answer(long x) { return part(x) + 1; }
