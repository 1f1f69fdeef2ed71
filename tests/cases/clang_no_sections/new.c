static long step = 3;
__attribute__((noinline)) static long bump(long x) { return x + step++ - step + 1; }
__attribute__((noinline)) static long twice(long x) { return bump(bump(x)) + 5; }
long answer(long x) { return twice(twice(x)) + 7; }
