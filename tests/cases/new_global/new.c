long fresh = 500;
long answer(long x) { return x + fresh++; }
