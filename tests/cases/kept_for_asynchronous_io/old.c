// What the kernel keeps of requests under way it tells nobody: the patch's memory stays.
//#Kept
//#ExpectBefore: 40
//#ExpectOutput: 41
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static unsigned long context;
__attribute__((constructor)) static void set_up(void) {
    if (syscall(SYS_io_setup, 1, &context))
        abort();
}
long answer(long x) { return x; }
