/* Loaded into a program: it stops where its own code would begin, so that it is alive and all that it links is mapped. */
#include <stdio.h>
#include <unistd.h>

int __libc_start_main(void) {
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}
