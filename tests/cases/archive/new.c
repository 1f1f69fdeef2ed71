long part(long x);
long answer(long x) { return part(x) + 9; }
