namespace {
long state = 3;
struct Adder { long by; __attribute__((noinline)) long operator()(long x) const { return x + by + 100; } };
__attribute__((noinline)) long helper(const Adder &adder, long x) { return adder(x) + 10; }
}
long answer(long x) { Adder adder{state}; return helper(adder, x); }
