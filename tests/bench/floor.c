/* The floor: stops every thread of the process PID with ptrace and lets go again, doing nothing in between.
 * Whoever must have all threads standing still at one moment pays this much. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum { MOST = 65536 };
static int threads[MOST];

int main(int count, char **arguments) {
    char path[64];
    int n = 0;
    snprintf(path, sizeof path, "/proc/%s/task", count > 1 ? arguments[1] : "");
    DIR *directory = opendir(path);
    if (!directory) {
        perror(path);
        return 1;
    }
    for (struct dirent *entry; n < MOST && (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            threads[n++] = atoi(entry->d_name);
    for (int i = 0; i < n; i++)
        if (ptrace(PTRACE_SEIZE, threads[i], 0, 0)) {
            perror("PTRACE_SEIZE");
            return 1;
        }
    for (int i = 0; i < n; i++)
        ptrace(PTRACE_INTERRUPT, threads[i], 0, 0);
    for (int i = 0; i < n; i++)
        waitpid(threads[i], NULL, __WALL);
    for (int i = 0; i < n; i++)
        ptrace(PTRACE_DETACH, threads[i], 0, 0);
    return 0;
}
