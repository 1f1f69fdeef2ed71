extern long counter;
long answer(long x) { return x + 1000 + ++counter; }
