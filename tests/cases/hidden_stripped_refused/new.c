__attribute__((visibility("hidden"))) long labs(long x);
long answer(long x) { return labs(-x) + 1; }
