#include <stdatomic.h>
#include <unistd.h>
extern atomic_int stay, inside;
__attribute__((noipa)) long balance(void) { return 2; }
long transact(void);
long transact(void) {
    long before = balance();
    inside = 1;
    while (stay)
        usleep(1000);
    inside = 0;
    return balance() - before;
}
