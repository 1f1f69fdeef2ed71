// The changed static function exists only inside its callers: both callers change.
//#ExpectBefore: 1647
//#ExpectOutput: 1688
static inline long square(long x) { return x * x; }
__attribute__((noipa)) static long one(long x) { return square(x) + 7; }
long answer(long x) { return one(x) + x; }
