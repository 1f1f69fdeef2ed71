__asm__(".p2align 12\n.skip 4094, 0xcc");
__attribute__((noipa)) long middle(long x) { return x * 3 + 2; }
long answer(long x) { return middle(x) - 2 * x; }
