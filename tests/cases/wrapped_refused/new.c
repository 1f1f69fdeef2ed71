long step(long x);
long answer(long x) { return step(x) * 2 + 1; }
