#include <stdatomic.h>
extern atomic_int stay, inside;
__attribute__((noipa)) static long turn(long count) {
    while (stay)
        count++;
    return count;
}
long slow(void) {
    inside = 1;
    turn(0);
    inside = 0;
    return 2;
}
