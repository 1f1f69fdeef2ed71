// New code asks for types at run time.
//#ExpectBefore: 41
//#ExpectOutput: 47
struct Base { virtual long id() const { return 1; } };
struct Derived : Base { long id() const override { return 2; } };
static Derived derived;
static Base base;
static const Base *volatile all[] = {&base, &derived};
__attribute__((noipa)) static long plain(const Base *) { return 1; }
long answer(long x) { return x + plain(all[x & 1]); }
