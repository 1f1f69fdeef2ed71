// LLVM's unwinder stands before libgcc's, and takes the registrations that this makes inside: libgcc's would not know of new code.
//#Compiler: clang
//#Cflags: -O2 -stdlib=libc++
//#Libraries: -nodefaultlibs -lc++ -lc++abi -lunwind -lm -lc -lgcc
//#Forms: none
//#ExpectBefore: 41
//#ApplyRefuses: takes in its stead
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
            sum += 0;
        } catch (const std::exception &error) {
            sum += 0;
        }
    return x + sum;
}
