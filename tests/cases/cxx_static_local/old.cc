// A static local with a guard keeps its value.
//#OldHas: _ZGVZ6answer
//#ExpectBefore: 46
//#ExpectBefore: 47
//#ExpectOutput: 148
//#ExpectOutput: 149
//#AfterRevert: 50
long source = 5;
__attribute__((noipa)) static long begin() { return source; }
long answer(long x) {
    static long count = begin();
    return x + ++count;
}
