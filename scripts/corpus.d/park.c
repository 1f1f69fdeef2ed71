/* Loaded into a program before its own code runs: stays there, so that the program is alive and all that it links is mapped. */
#include <stdio.h>
#include <unistd.h>

__attribute__((constructor)) static void park(void) {
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}
