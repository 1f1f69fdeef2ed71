// Functions of one name in two files, folded by lld.
//#Forms: none
//#Cflags: -O2 -ffunction-sections
//#Libraries: -fuse-ld=lld -Wl,--icf=all
//#ExpectBefore: 242
//#ApplyRefuses: `scaled` and `scaled` of `other.c` share the code
long other(long x);
static __attribute__((noinline)) long scaled(long x) { return x * 3 + 1; }
long answer(long x) { return scaled(x) + other(x) - x; }
