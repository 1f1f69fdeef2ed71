// A hook in the stop gives every live object its value; the memory of one that is too large is refused by the arena.
//#ExpectBefore: 40
//#ExpectOutput: 47
struct client { long id; } clients[4];
long answer(long x) { return x + clients[x % 4].id; }
