#include <errno.h>
#include <unistd.h>
long answer(long x) {
    (void)x;
    return close(-1) ? 1000 + errno : 0;
}
