// clang keeps a variable of two values as a `bool`: what the running one means changed with the code.
//#Compiler: clang
//#Cflags: -O2 -g
//#Forms: none
//#ExpectBefore: 50
//#PatchgenRefuses: `variable mode` in `patch.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): the compiler keeps it in another form than before
static int mode;
long answer(long x) {
    if (x == 10) mode = 5;
    return mode * x;
}
