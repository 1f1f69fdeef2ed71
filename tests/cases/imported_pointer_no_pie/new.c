#include <stdlib.h>
typedef long action(long);
action *volatile kept;
__attribute__((noipa)) void keep(void);
void keep(void) { kept = labs; }
long answer(long x) {
    keep();
    return kept == labs ? kept(x) + 2 : -1;
}
