__attribute__((weak)) long missing(long x);
long answer(long x) { return missing ? missing(x) + 2 : x + 1; }
