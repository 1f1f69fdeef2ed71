// Another compiler.
//#Compiler: clang
//#ExpectBefore: 82
//#ExpectOutput: 130
static const char *const names[] = {"one", "two", "three"};
long seen;
long answer(long x) {
    seen += x;
    return x + seen + names[x % 3][0] - 'o' - seen + 42 - ('t' - 'o');
}
