long step(long x);
long other(long x);
long other(long x) { return step(x) * 3 + 5; }
long answer(long x) { return step(x) * 2 + 1; }
