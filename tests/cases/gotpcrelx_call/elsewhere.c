long elsewhere(long x) { return x + 1; }
