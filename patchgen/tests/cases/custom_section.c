//#Refused: whose meaning is not known
struct entry { int id; };
#ifdef NEW
static struct entry fresh __attribute__((section("registry"), used)) = { 3 };
int f(int x) { return x + fresh.id; }
#else
int f(int x) { return x; }
#endif
