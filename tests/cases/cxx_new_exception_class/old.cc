// The fix brings an exception class of its own, with its type information.
//#ExpectBefore: 40
//#ExpectOutput: 43
//#ExpectOutput: 43
//#In no-sections: PatchgenRefuses: compile old and new with `-fdata-sections`
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
long answer(long x) { return calm(-x); }
