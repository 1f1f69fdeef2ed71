// Two static functions of the same name and code in a stripped program: nothing tells them apart.
//#In O0: Patched
//#ExpectOutput: 106
//#Strip: all
//#ExpectBefore: 86
//#ApplyRefuses: helper
__attribute__((noipa)) static long helper(long x) { return x + 3; }
long (*const mine)(long) = helper;
