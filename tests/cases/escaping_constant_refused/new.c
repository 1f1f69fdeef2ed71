static const long table[] = {1, 2, 5};
const long *volatile kept;
__attribute__((noipa)) long setup(void);
long setup(void) {
    if (!kept)
        kept = table;
    return kept[2];
}
long answer(long x) { return x + setup(); }
