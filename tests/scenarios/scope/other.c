/* What the executable has, too; what nobody else has; what `ld --wrap=labs` asks for. */
long step(long x);
long step(long x) { return x + 1; }
long extra(long x);
long extra(long x) { return x + 2; }
long __wrap_labs(long x);
long __wrap_labs(long x) { return x + 3; }
