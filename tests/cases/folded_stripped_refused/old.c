// The linker folded two functions of the patched file, of which one changes; no symbol tells.
//#Forms: none
//#Cflags: -O2 -ffunction-sections -fno-ipa-icf
//#Libraries: -fuse-ld=gold -Wl,--icf=all
//#Strip: all
//#ExpectBefore: 282
//#ApplyRefuses: folded by the linker
__attribute__((noinline)) long scaled(long x);
__attribute__((noinline)) long scaled(long x) { return x * 3 + 1; }
__attribute__((noinline)) long other(long x);
__attribute__((noinline)) long other(long x) { return x * 3 + 1; }
long answer(long x) { return scaled(x) + other(x) + x; }
