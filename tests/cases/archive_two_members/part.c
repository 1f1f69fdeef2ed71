long part(long x);
static long base = 4;
long part(long x) { return x + base; }
