// A common variable (`-fcommon`), for which the linker makes room.
//#Cflags: -O2 -fcommon
//#Forms: c
//#OldHas: COM
//#ExpectBefore: 41
//#ExpectBefore: 42
//#ExpectOutput: 143
//#ExpectOutput: 144
//#AfterRevert: 45
long count;
long answer(long x) { return x + ++count; }
