static __thread long mine = 5, yours;
long answer(long x) { return x * 2 + ++mine + ++yours - 1; }
