#include "../coroutine/host.c"
