// SPDX-License-Identifier: GPL-2.0
/* Functions to be led elsewhere, and how long calls of one take: /sys/module/calls/parameters. */
#include <linux/ktime.h>
#include <linux/module.h>

#define CALLS 200000

int calls_old(int number);
int calls_new(int number);
int calls_untraced(int number);

/* In its own section nothing is known of it to its caller but that it must be called. */
noinline int calls_old(int number)
{
	barrier();
	return number + 1;
}

noinline int calls_new(int number)
{
	barrier();
	return number + 2;
}

/* ftrace has no place in it: only a kprobe reaches it. */
noinline notrace int calls_untraced(int number)
{
	barrier();
	return number + 1;
}

static int (*volatile calls_pointer)(int) = calls_old;
static int (*volatile calls_untraced_pointer)(int) = calls_untraced;

/* Nanoseconds for a thousand calls, and what a call comes to. */
static int bench_get(char *to, const struct kernel_param *unused)
{
	u64 start = ktime_get_ns();
	int number = 0, i;

	for (i = 0; i < CALLS; i++)
		number = calls_pointer(0);
	return sysfs_emit(to, "%llu %d\n", (ktime_get_ns() - start) / (CALLS / 1000), number);
}

static int untraced_get(char *to, const struct kernel_param *unused)
{
	return sysfs_emit(to, "%d\n", calls_untraced_pointer(0));
}

static const struct kernel_param_ops bench = { .get = bench_get };
static const struct kernel_param_ops untraced = { .get = untraced_get };
module_param_cb(bench, &bench, NULL, 0400);
module_param_cb(untraced, &untraced, NULL, 0400);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("functions for tests of livepatch");
