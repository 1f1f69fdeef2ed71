struct pair { int a, b; };
static struct pair pair = {1, 2};
long answer(long x) { return x + pair.b; }
