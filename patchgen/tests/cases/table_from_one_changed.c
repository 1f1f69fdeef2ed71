// The table changes, and who uses it by `table - 8` does not seem to.
//#Flags: -Os -fno-pie -fno-toplevel-reorder -fno-function-sections -fno-data-sections
//#Refused: `table` in `case.o`: its contents changed, and it cannot be told whether `g` refers to it or to a constant before it
struct big {
    long a[12];
};
void use(const struct big *);
long f(long n) {
    struct big b = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
    use(&b);
    return n;
}
#ifdef NEW
static const long table[4] = {3, 20, 30, 50};
#else
static const long table[4] = {3, 20, 30, 40};
#endif
long g(long n) { return table[n - 1] + 1; }
long h(long n) { return table[n]; }
