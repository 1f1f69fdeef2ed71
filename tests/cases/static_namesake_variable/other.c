long other(long x);
static volatile int opterr = 2;
long other(long x) { return x + opterr; }
