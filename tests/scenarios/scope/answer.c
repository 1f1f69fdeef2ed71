/* The new code calls `USED` for the first time, if it is there. */
#ifdef USED
__attribute__((weak)) long USED(long x);
long answer(long x) { return USED ? USED(x) : x; }
#else
long answer(long x) { return x + 7; }
#endif
