// Two objects change together: this one and part.c (which lies in the subdirectory `more` of the objects).
//#ExpectBefore: 141
//#ExpectOutput: 242
long part(long x);
long answer(long x) { return part(x) + 1; }
