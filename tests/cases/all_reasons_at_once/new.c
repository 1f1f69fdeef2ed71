long first = 10, second = 20;
long answer(long x) { return x + first + second; }
