//#Refused: `set` in `case.o`: it compares an address with that of "default-path"
//#Refusals: 1
//#Flags: -O0
#include <stdlib.h>
#include <string.h>
static const char *current = "default-path";
int set(const char *path)
{
#ifdef NEW
    if (current != "default-path")
        free((char *)current);
#endif
    current = strdup(path);
    return 0;
}
const char *shown(void) { return current; }
