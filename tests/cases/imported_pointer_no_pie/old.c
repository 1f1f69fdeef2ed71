// In an executable at a fixed address the PLT entry stands for an imported function in all modules.
//#Link: no-pie
//#ExpectBefore: 41
//#ExpectOutput: 42
#include <stdlib.h>
typedef long action(long);
action *volatile kept;
__attribute__((noipa)) void keep(void);
void keep(void) { kept = labs; }
long answer(long x) {
    keep();
    return kept(x) + 1;
}
