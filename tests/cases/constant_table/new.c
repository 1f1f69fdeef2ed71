static const long table[] = {1, 4, 90, 16};
long answer(long x) { return table[x & 3]; }
