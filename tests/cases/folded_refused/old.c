// The linker (lld) folded the function with one of another file, which does not change.
//#Forms: none
//#Cflags: -O2 -ffunction-sections
//#Libraries: -fuse-ld=lld -Wl,--icf=all
//#ExpectBefore: 242
//#ApplyRefuses: `scaled` and `other` share the code
long other(long x);
__attribute__((noinline)) long scaled(long x);
__attribute__((noinline)) long scaled(long x) { return x * 3 + 1; }
long answer(long x) { return scaled(x) + other(x); }
