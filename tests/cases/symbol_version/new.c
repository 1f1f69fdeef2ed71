long answer(long x);
__attribute__((noipa)) long answer_1(long x);
long answer_1(long x) { return x + 9; }
__asm__(".symver answer_1, answer@@");
