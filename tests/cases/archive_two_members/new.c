long part(long x);
long fresh(long x);
long answer(long x) { return part(x) + fresh(8); }
