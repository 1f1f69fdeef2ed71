extern long level;
long level = 1;
long answer(long x) { return x * x - 39 * x + level; }
