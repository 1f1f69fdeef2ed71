// Two static functions of the same name and code in a stripped program: nothing tells them apart.
//#Strip: all
//#ExpectBefore: 86
//#ApplyRefuses: helper
__attribute__((noipa)) static long helper(long x) { return x + 3; }
long (*const mine)(long) = helper;
