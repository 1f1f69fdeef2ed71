// `__LINE__` alone is no change: the same function further down (line numbers from debug info).
//#Cflags: -O2 -g
//#NoChange
//#ExpectBefore: 41
void report(const char *file, int line);
long answer(long x) {
    if (x < 0)
        report(__FILE__, __LINE__);
    return x + 1;
}
