// A caller that stays as it is calls the function that changes twice, and must not see it change between.
//#Patchgen: --quiesce transact
//#ExpectBefore: 1
//#ExpectOutput: 2
#include <stdatomic.h>
#include <unistd.h>
extern atomic_int stay, inside;
__attribute__((noipa)) long balance(void) { return 1; }
long transact(void);
long transact(void) {
    long before = balance();
    inside = 1;
    while (stay)
        usleep(1000);
    inside = 0;
    return balance() - before;
}
