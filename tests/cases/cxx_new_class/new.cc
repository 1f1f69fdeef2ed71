struct Shape { virtual long weigh(long x) const; long extra = 3; };
__attribute__((noipa)) long Shape::weigh(long x) const { return x + extra; }
static Shape shape;
static const Shape *volatile current = &shape;
namespace {
struct Heavy : Shape { long weigh(long x) const override { return Shape::weigh(x) + 100; } };
}
long answer(long x) {
    Heavy heavy;
    const Shape *volatile chosen = x ? &heavy : current;
    return chosen->weigh(x);
}
