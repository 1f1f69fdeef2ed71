__thread long mine = 5;
long answer(long x) { return x * 2 + ++mine; }
