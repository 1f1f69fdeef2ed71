__attribute__((noipa)) static long helper(long x) { return x + 23; }
long (*const mine)(long) = helper;
