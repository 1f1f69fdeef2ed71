struct Box {
    long value;
    explicit Box(long x);
    explicit Box(int x);
};
__attribute__((noinline)) Box::Box(long x) : value(x + 8) {}
__attribute__((noinline)) Box::Box(int x) : value(x + 10) {}
long answer(long x) { return Box(x).value + Box(0).value; }
