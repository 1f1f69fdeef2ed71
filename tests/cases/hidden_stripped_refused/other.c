__attribute__((visibility("hidden"), noipa)) long labs(long x);
long labs(long x) { return x + 777; }
