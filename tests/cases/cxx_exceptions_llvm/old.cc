// Exceptions pass through new code by LLVM's unwinder, whose table of records keeps what was taken out of it until others come.
//#Compiler: clang
//#Cflags: -O2 -stdlib=libc++
//#Libraries: -nodefaultlibs -Wl,-u,_Unwind_Find_FDE -Wl,-Bstatic -lc++ -lc++abi -lunwind -Wl,-Bdynamic -lm -lc -lgcc
//#Forms: none
//#Kept
//#ExpectBefore: 41
//#ExpectOutput: 52
//#ExpectOutput: 52
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
