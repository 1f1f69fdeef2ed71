// New code catches by type what old code throws: a class of the program, its base, and a type of the C++ library.
#include <stdexcept>
struct Base { virtual ~Base() {} };
struct Derived : Base { long value; Derived(long x) : value(x) {} };
__attribute__((noipa)) static long thrower(long x) {
    if (x % 3 == 0) throw Derived(x);
    if (x % 3 == 1) throw std::runtime_error("one");
    return x;
}
long answer(long x) {
    long sum = 0;
    for (long i = 0; i < 3; i++)
        try {
            sum += thrower(x + i) > 0;
        } catch (const Base &) {
            sum += 10;
        } catch (const std::exception &error) {
            sum += 1;
        }
    return x + sum;
}
