#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static unsigned long context;
__attribute__((constructor)) static void set_up(void) {
    if (syscall(SYS_io_setup, 1, &context))
        abort();
}
long answer(long x) { return x + 1; }
