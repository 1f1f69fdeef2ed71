// General dynamic in the object, relaxed to local exec by the linker.
//#Cflags: -O2 -fPIC
//#OldHas: R_X86_64_TLSGD
//#ExpectBefore: 46
//#ExpectOutput: 87
//#AfterRevert: 48
__thread long mine = 5;
long answer(long x) { return x + ++mine; }
