// errno: a thread-local variable of libc, reached by a function.
//#ExpectBefore: 9
//#ExpectOutput: 1009
#include <errno.h>
#include <unistd.h>
long answer(long x) {
    (void)x;
    return close(-1) ? errno : 0;
}
