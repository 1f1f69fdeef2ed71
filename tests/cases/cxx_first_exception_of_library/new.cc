#include <stdexcept>
__attribute__((noinline)) static void check(long x) {
    if (x > 30)
        throw std::out_of_range("too much");
}
long answer(long x) {
    try {
        check(x);
        if (x < 0)
            throw x;
    } catch (const std::out_of_range &) {
        return -1;
    } catch (long) {
        return 0;
    }
    return x + 1;
}
