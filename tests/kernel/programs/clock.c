/* clock run COMMAND...          how long a command takes
 * clock livepatch FILE MODULE   how long the kernel's own loading and transition of a livepatch take; then takes it back
 *
 * Prints `clock MICROSECONDS`. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct timespec start;

static void begin(void)
{
	clock_gettime(CLOCK_MONOTONIC, &start);
}

static void tell(void)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("clock %ld\n", (end.tv_sec - start.tv_sec) * 1000000 + (end.tv_nsec - start.tv_nsec) / 1000);
	fflush(stdout);
}

static int run(char **command)
{
	int status;
	pid_t child;

	begin();
	child = fork();
	if (!child) {
		execvp(*command, command);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		return 1;
	tell();
	return 0;
}

/* The state of a livepatch: '0' or '1', or 0 when the kernel does not know it. */
static char state(const char *module, const char *name)
{
	char path[256], text = 0;
	int file;

	snprintf(path, sizeof(path), "/sys/kernel/livepatch/%s/%s", module, name);
	file = open(path, O_RDONLY);
	if (file >= 0 && read(file, &text, 1) != 1)
		text = 0;
	close(file);
	return text;
}

static int livepatch(const char *path, const char *module)
{
	char enabled[256];
	int file = open(path, O_RDONLY);

	begin();
	if (syscall(SYS_finit_module, file, "", 0))
		return 1;
	while (state(module, "transition") == '1')
		usleep(1000);
	tell();
	close(file);
	snprintf(enabled, sizeof(enabled), "/sys/kernel/livepatch/%s/enabled", module);
	file = open(enabled, O_WRONLY);
	if (write(file, "0", 1) != 1)
		return 1;
	close(file);
	while (state(module, "transition"))
		usleep(1000);
	for (int i = 0; i < 1000 && syscall(SYS_delete_module, module, O_NONBLOCK); i++)
		usleep(1000);
	return 0;
}

int main(int count, char **arguments)
{
	if (count > 2 && !strcmp(arguments[1], "run"))
		return run(arguments + 2);
	if (count == 4 && !strcmp(arguments[1], "livepatch"))
		return livepatch(arguments[2], arguments[3]);
	fputs("clock: run COMMAND... or livepatch FILE MODULE\n", stderr);
	return 2;
}
