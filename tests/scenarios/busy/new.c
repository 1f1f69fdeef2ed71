#include <stdatomic.h>
#include <unistd.h>
extern atomic_int stay, inside;
long slow(void) {
    inside = 1;
    while (stay)
        usleep(1000);
    inside = 0;
    return 2;
}
