/* `caller` calls `chosen` for the first time: the dynamic linker runs its resolver, which sleeps. */
#include <signal.h>
#include <sys/prctl.h>
int chosen(int);
__attribute__((noinline)) int caller(int x) { volatile int keep = x; int r = chosen(x); return r + keep; }
int main(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); return caller(1); }
