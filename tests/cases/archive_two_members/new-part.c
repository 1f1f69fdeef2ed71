long part(long x);
long fresh(long x);
static long base = 4;
long fresh(long x) { return x + 100; }
long part(long x) { return x + base; }
