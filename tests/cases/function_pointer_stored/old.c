// New code stores the address of a changed function and of a new one; after the revert the old entry still answers.
//#ExpectBefore: 41
//#ExpectOutput: 143
typedef long action(long);
action *volatile current;
__attribute__((noipa)) static long add(long x) { return x + 1; }
long answer(long x) {
    current = add;
    return current(x);
}
