__attribute__((visibility("protected"))) extern long base;
__attribute__((visibility("protected"))) long base = 5;
__attribute__((visibility("protected"), noipa)) long add(long x);
__attribute__((visibility("protected"), noipa)) long add(long x) { return x + base * 2; }
long answer(long x) { return add(x) + base * 2; }
