// A new static local with a guard begins with the patch.
//#In no-sections: PatchgenRefuses: cannot be told whether it refers to
//#ExpectBefore: 45
//#ExpectOutput: 51
//#ExpectOutput: 52
long source = 5;
__attribute__((noipa)) static long begin() { return source; }
__attribute__((noipa)) static long other() {
    static long begun = begin();
    return begun;
}
long answer(long x) { return x + other(); }
