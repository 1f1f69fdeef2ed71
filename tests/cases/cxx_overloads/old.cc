// Overloaded functions and constructors with two names for one body.
//#ExpectBefore: 48
//#ExpectOutput: 58
struct Box {
    long value;
    explicit Box(long x);
    explicit Box(int x);
};
__attribute__((noinline)) Box::Box(long x) : value(x + 3) {}
__attribute__((noinline)) Box::Box(int x) : value(x + 5) {}
long answer(long x) { return Box(x).value + Box(0).value; }
