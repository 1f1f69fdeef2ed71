// A static function that the compiler keeps apart; its caller does not change.
//#OldHas: FUNC    LOCAL
//#ExpectBefore: 120
//#ExpectOutput: 160
__attribute__((noipa)) static long times(long x) { return x * 3; }
long answer(long x) { return times(x); }
