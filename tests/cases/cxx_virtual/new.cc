struct Shape { virtual long weigh(long x) const; virtual ~Shape(); long extra = 3; };
Shape::~Shape() {}
__attribute__((noipa)) long Shape::weigh(long x) const { return x + extra + 7; }
static Shape shape;
static const Shape *volatile current = &shape;
long answer(long x) { return current->weigh(x); }
