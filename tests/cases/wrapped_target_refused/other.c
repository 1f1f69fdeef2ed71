long step(long x);
long step(long x) { return x + 1; }
