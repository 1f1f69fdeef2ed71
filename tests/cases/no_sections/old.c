// Objects without sections for each function and variable: functions are cut out of one `.text` by their symbols.
//#NoSections
//#ExpectBefore: 83
//#ExpectOutput: 124
static long count = 1;
__attribute__((noipa)) static long first(long x) { return x + count; }
__attribute__((noipa)) static long second(long x) { return x + 2 * count; }
long answer(long x) { return first(x) + second(x); }
