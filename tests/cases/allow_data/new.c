long limit = 200;
long answer(long x) { return x + limit + 1; }
