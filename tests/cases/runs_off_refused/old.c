// New code whose end is reached by nobody, or so the author says: what follows it in the patch is something else.
//#ExpectOutput: 42
//#In gcc O0: Patched
//#Cflags: -O2
//#ExpectBefore: 41
//#PatchgenRefuses: runs on past its end
long answer(long x) {
    if (x == 40)
        return 41;
    return x;
}
