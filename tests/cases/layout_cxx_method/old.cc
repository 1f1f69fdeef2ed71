// A class gets a method and a constant, and its fields another access: live objects stay what they are.
//#Cflags: -O2 -g
//#ExpectBefore: 42
//#ExpectOutput: 44
class Counter {
  public:
    long get() const { return step; }
    long step = 2;
};
static Counter counter;
static Counter *volatile current = &counter;
long answer(long x) { return x + current->get(); }
