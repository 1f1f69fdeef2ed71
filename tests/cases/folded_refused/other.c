long other(long x);
__attribute__((section(".text.other"))) long other(long x) { return x * 3 + 1; }
