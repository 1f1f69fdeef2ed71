long labs(long x);
long other(long x);
long answer(long x) { return other(1) + labs(-x); }
