#include "../busy/host.c"
