#include <ctype.h>
#include <unistd.h>
long answer(long x) { return getpgid(0) > 0 && toupper((int)x) == x; }
