#include "parse.h"
#include <stdio.h>

int main(void) {
    struct state state = {0, 0};
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        printf("%d %d\n", parse(&state, line), state.errors);
        fflush(stdout);
    }
    return 0;
}
