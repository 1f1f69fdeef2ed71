// What `-flto` compiles is no code yet: the objects of the link step have it.
//#Cflags: -O2 -flto
//#Forms: none
//#ExpectBefore: 40
//#PatchgenRefuses: -save-temps
long answer(long x) { return x; }
