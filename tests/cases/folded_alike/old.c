// The linker folded functions that change alike.
//#Forms: none
//#Cflags: -O2 -ffunction-sections -fno-ipa-icf
//#Libraries: -fuse-ld=gold -Wl,--icf=all
//#OldHas: other
//#ExpectBefore: 282
//#ExpectOutput: 284
static __attribute__((noinline)) long scaled(long x) { return x * 3 + 1; }
static __attribute__((noinline)) long other(long x) { return x * 3 + 1; }
long answer(long x) { return scaled(x) + other(x) + x; }
