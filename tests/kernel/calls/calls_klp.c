// SPDX-License-Identifier: GPL-2.0
/* calls_old() led elsewhere by the kernel's own livepatch core. */
#include <linux/livepatch.h>
#include <linux/module.h>

static noinline int calls_klp_new(int number)
{
	barrier();
	return number + 3;
}

static struct klp_func functions[] = { { .old_name = "calls_old", .new_func = calls_klp_new }, {} };
static struct klp_object objects[] = { { .name = "calls", .funcs = functions }, {} };
static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects };

static int __init calls_klp_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit calls_klp_exit(void)
{
}

module_init(calls_klp_init);
module_exit(calls_klp_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("a livepatch for tests");
MODULE_INFO(livepatch, "Y");
