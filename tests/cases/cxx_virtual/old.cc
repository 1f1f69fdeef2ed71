// A virtual function changes: objects keep their old table, whose entry reaches the new code.
//#ExpectBefore: 43
//#ExpectOutput: 50
struct Shape { virtual long weigh(long x) const; virtual ~Shape(); long extra = 3; };
Shape::~Shape() {}
__attribute__((noipa)) long Shape::weigh(long x) const { return x + extra; }
static Shape shape;
static const Shape *volatile current = &shape;
long answer(long x) { return current->weigh(x); }
