// `table - 8` without a symbol is a place in the constant before the table.
//#Flags: -Os -fno-pie -fno-toplevel-reorder -fno-function-sections -fno-data-sections
//#Refused: `g` in `case.o`: it cannot be told whether it refers to `table` or to a constant before it
struct big {
    long a[12];
};
void use(const struct big *);
long f(long n) {
    struct big b = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
    use(&b);
    return n;
}
static const long table[4] = {3, 20, 30, 40};
#ifdef NEW
long g(long n) { return table[n - 1] + 2; }
#else
long g(long n) { return table[n - 1] + 1; }
#endif
