long room[8];
long answer(long x) { return x + room[x & 7]; }
