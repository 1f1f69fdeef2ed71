long one = 1;
long answer(long x) { return x + 2; }
