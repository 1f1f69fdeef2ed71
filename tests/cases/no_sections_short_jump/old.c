// Without sections a call of a neighbour at the end of a function is a jump of two bytes.
//#NoSections
//#ExpectBefore: 141
//#ExpectOutput: 243
long total;
__attribute__((noipa)) static long add(long x) { return x + total; }
long answer(long x) {
    total = 101;
    return add(x);
}
