long count;
long answer(long x) { return x + ++count + 100; }
