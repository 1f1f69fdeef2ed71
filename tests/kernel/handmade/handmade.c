// SPDX-License-Identifier: GPL-2.0
/* New code for tests of the companion alone: nothing here runs unless something is led to it. */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/seq_file.h>

/* In place of cmdline_proc_show() and version_proc_show(); each is told from the other by its text. */
__used noinline static int handmade_quick(struct seq_file *file, void *unused)
{
	seq_puts(file, "patched\n");
	return 0;
}

__used noinline static int handmade_slow(struct seq_file *file, void *unused)
{
	msleep(3000);
	seq_puts(file, "patched slowly\n");
	return 0;
}

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("new code for tests of livepatch");
