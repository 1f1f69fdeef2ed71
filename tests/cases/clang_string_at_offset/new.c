// The compiler folds a constant into the address of a string, so that it points before the string, or into its neighbour.
long answer(long x) { return "0123456789abcdef"[x - 'a'] + ("fedcba9876543210"[x - 'a'] == '9'); }
