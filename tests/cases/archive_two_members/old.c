// Two members of an archive change; the new code of one calls a new function of the other.
//#Pack: archive
//#ExpectBefore: 45
//#ExpectOutput: 152
long part(long x);
long answer(long x) { return part(x) + 1; }
