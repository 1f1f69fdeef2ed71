long fresh;
long answer(long x) { return x + ++fresh; }
