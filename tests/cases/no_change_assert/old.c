// Lines before an assertion move it: its line number is no part of the meaning.
//#NoChange
//#ExpectBefore: 41
#undef NDEBUG
#include <assert.h>
long answer(long x) {
    assert(x != 7);
    return x + 1;
}
