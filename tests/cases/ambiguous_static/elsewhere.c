__attribute__((noipa)) static long helper(long x) { return x + 3; }
long (*const theirs)(long) = helper;
