long step(long x);
long step(long x) { return x + 1; }
long twice(long x);
long twice(long x) { return 2 * x; }
long answer(long x) { return step(twice(x)) + 2; }
