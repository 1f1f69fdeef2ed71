// The same in two files of one name, in different directories.
//#Forms: none
//#Cflags: -O2 -ffunction-sections
//#Libraries: -fuse-ld=lld -Wl,--icf=all
//#ExpectBefore: 242
//#ApplyRefuses: `scaled` and `scaled` of `patch.c` share the code
long other(long x);
static __attribute__((noinline)) long scaled(long x) { return x * 3 + 1; }
long answer(long x) { return scaled(x) + other(x) - x; }
