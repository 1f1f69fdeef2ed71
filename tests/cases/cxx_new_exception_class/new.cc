#include <stdexcept>
long other(long x) {
    if (x < 0) throw std::runtime_error("below zero");
    return x;
}
__attribute__((noipa)) static long calm(long x) {
    try {
        return other(x);
    } catch (const std::runtime_error &) {
        return -x;
    }
}
namespace {
struct Refused : std::runtime_error {
    long code;
    Refused(long c) : std::runtime_error("refused"), code(c) {}
};
}
__attribute__((noipa)) static void check(long x) {
    if (x > 10) throw Refused(3);
}
long answer(long x) {
    try {
        check(calm(-x));
    } catch (const Refused &refused) {
        return x + refused.code;
    }
    return x;
}
