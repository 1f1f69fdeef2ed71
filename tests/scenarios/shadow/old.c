// Two patches that share a shadow variable, each of another function.
//#Ask: answer 40
//#ExpectBefore: 40
//#ExpectOutput: 41
struct client { long id; } client;
long answer(long x) { return x + client.id; }
long other(long x) { return x * 2 + client.id; }
