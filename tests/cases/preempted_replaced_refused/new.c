long step(long x);
long step(long x) { return x * 5 + 2; }
long answer(long x) { return step(x) + 3; }
