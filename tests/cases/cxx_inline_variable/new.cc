inline long shared = 2;
long answer(long x) { return x + ++shared + 100; }
