// The function is exported under two versions by a linker script of names.
//#Link: shared
//#Forms: c
//#ExpectBefore: 41
//#ExpectOutput: 49
long answer(long x);
__attribute__((noipa)) long answer_1(long x);
long answer_1(long x) { return x + 1; }
__asm__(".symver answer_1, answer@@");
