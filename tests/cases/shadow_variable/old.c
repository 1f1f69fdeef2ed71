// A field more for objects that live already.
//#ExpectBefore: 40
//#ExpectOutput: 41
//#ExpectOutput: 42
//#ExpectOutput: 43
struct client { long id; } clients[4];
long answer(long x) { return x + clients[x % 4].id; }
