// The jump at the entry lies across a page boundary.
//#Cflags: -O2 -falign-functions=1 -fno-toplevel-reorder -fcf-protection=none
//#NoSections
//#Forms: none
//#ExpectBefore: 41
//#ExpectOutput: 42
__asm__(".p2align 12\n.skip 4094, 0xcc");
__attribute__((noipa)) long middle(long x) { return x * 3 + 1; }
long answer(long x) { return middle(x) - 2 * x; }
