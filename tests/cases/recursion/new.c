long answer(long x) { return x < 2 ? 1 : answer(x - 1) + answer(x - 2); }
