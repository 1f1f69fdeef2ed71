// The code of an indirect function's resolver has run: a new one would be asked by nobody.
//#Forms: c
//#ExpectBefore: 41
//#PatchgenRefuses: STT_GNU_IFUNC
static long one(long x) { return x + 1; }
static long two(long x) { return x + 2; }
static long (*choose(void))(long) { return one; }
long chosen(long x) __attribute__((ifunc("choose")));
long answer(long x) { return chosen(x) + 0 * two(x); }
