long __wrap_step(long x);
long __wrap_step(long x) { return x + 100; }
