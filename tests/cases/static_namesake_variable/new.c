extern int opterr;
long other(long x);
long answer(long x) { return other(1) + opterr + 0 * x; }
