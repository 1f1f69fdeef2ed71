// New code brings a class with a table of virtual functions and type information of its own.
//#In clang no-sections: PatchgenRefuses: cannot be told whether it refers to
//#ExpectBefore: 43
//#ExpectOutput: 143
struct Shape { virtual long weigh(long x) const; long extra = 3; };
__attribute__((noipa)) long Shape::weigh(long x) const { return x + extra; }
static Shape shape;
static const Shape *volatile current = &shape;
long answer(long x) { return current->weigh(x); }
