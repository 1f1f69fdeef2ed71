// clang without sections: local calls are resolved by its assembler.
//#Compiler: clang
//#NoSections
//#ExpectBefore: 47
//#ExpectOutput: 57
static long step = 3;
__attribute__((noinline)) static long bump(long x) { return x + step++ - step + 1; }
__attribute__((noinline)) static long twice(long x) { return bump(bump(x)); }
long answer(long x) { return twice(x) + 7; }
