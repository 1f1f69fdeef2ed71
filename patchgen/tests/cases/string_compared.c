//#Changed: set is_default digit shown
#include <stdlib.h>
#include <string.h>
#define DEFAULT "default-path"
static const char *current = DEFAULT;
int set(const char *path)
{
#ifdef NEW
    if (strlen(path) > 100)
        return -1;
#endif
    if (current != DEFAULT)
        free((char *)current);
    current = strdup(path);
    return 0;
}
int is_default(int x)
{
#ifdef NEW
    x *= 2;
#endif
    return (current == DEFAULT) + x;
}
long digit(int c)
{
#ifdef NEW
    c |= 32;
#endif
    const char *found = strchr("0123456789abcdef", c);
    return found ? found - "0123456789abcdef" : -1;
}
const char *shown(int x)
{
#ifdef NEW
    x -= 7;
#endif
    return x > 2 ? DEFAULT : current;
}
