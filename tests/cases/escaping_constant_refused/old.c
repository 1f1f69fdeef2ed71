// A constant changes whose address was handed out: nobody knows who still has the old one.
//#ExpectBefore: 43
//#PatchgenRefuses: table
static const long table[] = {1, 2, 3};
const long *volatile kept;
__attribute__((noipa)) long setup(void);
long setup(void) {
    if (!kept)
        kept = table;
    return kept[2];
}
long answer(long x) { return x + setup(); }
