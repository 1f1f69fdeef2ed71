long part(long x) { return x + 200; }
