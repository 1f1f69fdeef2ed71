extern long counter;
long answer(long x) { return ++counter + x; }
