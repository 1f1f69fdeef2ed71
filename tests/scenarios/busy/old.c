// A thread sleeps inside the function that changes, until it is told to leave.
//#ExpectBefore: 1
//#ExpectOutput: 2
#include <stdatomic.h>
#include <unistd.h>
extern atomic_int stay, inside;
long slow(void) {
    inside = 1;
    while (stay)
        usleep(1000);
    inside = 0;
    return 1;
}
