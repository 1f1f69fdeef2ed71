static long calls = 2;
__attribute__((noipa)) static long helper(unsigned long x) { return x * 7 / 7 + (calls += x == 0); }
__attribute__((noipa)) static long step(unsigned long x) { return helper(x * 3 / 3 + 1); }
__attribute__((noipa)) static long last(unsigned long x) { return helper(x) + 100 * calls; }
long answer(long x) { return last(step(x)); }
