struct Base { virtual long id() const { return 1; } };
struct Derived : Base { long id() const override { return 2; } };
static Derived derived;
static Base base;
static const Base *volatile all[] = {&base, &derived};
__attribute__((noipa)) static long plain(const Base *) { return 1; }
long answer(long x) {
    const Base *one = all[x & 1], *other = all[(x & 1) ^ 1];
    long sum = dynamic_cast<const Derived *>(one) ? 100 : 1;
    return x + sum + (dynamic_cast<const Derived *>(other) ? 5 : 100) + plain(one);
}
