// New code whose end is reached by nobody, or so the author says: what follows it in the patch is something else.
//#Cflags: -O2
//#ExpectBefore: 41
//#PatchgenRefuses: runs on past its end
//#In clang: Patched
//#In clang: ExpectOutput: 42
//#In O0: Patched
//#In O0: ExpectOutput: 42
//#In clang O0: Patched
long answer(long x) {
    if (x == 40)
        return 41;
    return x;
}
