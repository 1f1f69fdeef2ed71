long hook(long x);
long hook(long x) { return x + 100; }
