union value { int number; struct { short high, low; } halves; };
static volatile union value value = {0x20001};
long answer(long x) { return x + value.halves.low; }
