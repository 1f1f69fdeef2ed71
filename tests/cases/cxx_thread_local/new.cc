thread_local long calls = 3;
long answer(long x) { return x + ++calls + 100; }
