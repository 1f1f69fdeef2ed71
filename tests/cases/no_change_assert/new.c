#undef NDEBUG
#include <assert.h>
/* A comment
 * of several
 * lines. */
long answer(long x) {
    assert(x != 7);
    return x + 1;
}
