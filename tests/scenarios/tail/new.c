#include <stdatomic.h>
#include <unistd.h>
extern atomic_int stay, inside;
__attribute__((noipa)) long rest(long x) {
    inside = 1;
    while (stay)
        usleep(1000);
    inside = 0;
    return x;
}
long slow(void) { return rest(2); }
