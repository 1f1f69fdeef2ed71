struct pair { int a, b; };
static struct pair pair = {1, 2};
long answer(long x) { return x + pair.a; }
// Without debug information nobody sees that nothing of the layout changed; the bundle says so.
//#ExpectBefore: 41
//#ExpectOutput: 42
