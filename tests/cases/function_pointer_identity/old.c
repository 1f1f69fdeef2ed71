// The address of a changed function stays the old entry's: pointers that live data holds compare equal.
//#ExpectBefore: 41
//#ExpectOutput: 53
typedef long action(long);
__attribute__((noipa)) static long add(long x) { return x + 1; }
static action *chosen;
long answer(long x) {
    if (!chosen)
        chosen = add;
    return chosen == add ? chosen(x) : -1;
}
