// Functions and variables of an anonymous namespace.
//#ExpectBefore: 43
//#ExpectOutput: 153
namespace {
long state = 3;
struct Adder { long by; __attribute__((noinline)) long operator()(long x) const { return x + by; } };
__attribute__((noinline)) long helper(const Adder &adder, long x) { return adder(x); }
}
long answer(long x) { Adder adder{state}; return helper(adder, x); }
