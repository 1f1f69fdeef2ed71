/* crowd THREADS: threads that sleep over and over, two that run, and two that read /proc/version, which must be that of old or of
 * new code, whole. Ends at SIGTERM: prints how often which was read; exit status 1 if anything else was. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int stop;
static atomic_long old_code, new_code, other;

static void end(int signal)
{
	(void)signal;
	stop = 1;
}

static void *sleeper(void *unused)
{
	/* In turn over two seconds: an emulated processor has no time for more. */
	struct timespec time = { 2, 0 };

	while (!stop)
		nanosleep(&time, NULL);
	return unused;
}

/* Busy, but an emulator that lets its processors take turns of a tenth of a second goes on to the next at this instruction: the kernel
 * asks processors many times to take note of code that it changes. */
static void next_turn(void)
{
	__builtin_ia32_pause();
}

static void *runner(void *unused)
{
	static volatile unsigned long count;

	while (!stop) {
		count++;
		next_turn();
	}
	return unused;
}

static void judge(const char *text)
{
	static const char patched[] = "patched version\n";
	int is_new = !strncmp(text, patched, strlen(patched));
	const char *rest = is_new ? text + strlen(patched) : text;

	if (strncmp(rest, "Linux version ", 14) || strchr(rest, '\n') != rest + strlen(rest) - 1)
		other++;
	else if (is_new)
		new_code++;
	else
		old_code++;
}

static void *reader(void *unused)
{
	while (!stop) {
		char text[1024] = "";
		int file = open("/proc/version", O_RDONLY);
		ssize_t length = file < 0 ? -1 : read(file, text, sizeof(text) - 1);

		if (length > 0)
			judge(text);
		else
			other++;
		close(file);
		next_turn();
	}
	return unused;
}

static void start(void *(*work)(void *))
{
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 * 1024);
	if (pthread_create(&thread, &small, work, NULL)) {
		perror("pthread_create");
		exit(2);
	}
}

int main(int count, char **arguments)
{
	int threads = count > 1 ? atoi(arguments[1]) : 100;

	signal(SIGTERM, end);
	for (int i = 0; i < threads; i++)
		start(sleeper);
	for (int i = 0; i < 2; i++) {
		start(runner);
		start(reader);
	}
	puts("ready");
	fflush(stdout);
	while (!stop)
		pause();
	sleep(1);
	printf("old %ld new %ld other %ld\n", (long)old_code, (long)new_code, (long)other);
	return other || !old_code || !new_code;
}
