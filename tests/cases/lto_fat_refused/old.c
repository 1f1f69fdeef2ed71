// A fat object has bytecode and code, and it is not that code which runs.
//#Cflags: -O2 -flto -ffat-lto-objects
//#Forms: none
//#ExpectBefore: 40
//#PatchgenRefuses: -save-temps
long answer(long x) { return x; }
