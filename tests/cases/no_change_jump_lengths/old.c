// The assembler takes long jumps everywhere: the same control flow.
//#Forms: clang
//#Compiler: clang
//#Cflags: -O2
//#NewCflags: -O2 -mrelax-all
//#NoChange
//#ExpectBefore: 60
extern long seen;
long seen;
long answer(long x) {
    for (long i = 0; i < x; i++) {
        if (i % 2)
            seen += i;
        else if (i % 3)
            seen ^= i;
    }
    if (seen < 0)
        return seen;
    return 60;
}
