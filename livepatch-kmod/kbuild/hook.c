// SPDX-License-Identifier: GPL-2.0
/* Redirects of single functions: by ftrace, and by a kprobe where ftrace cannot reach. */
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/version.h>
#include "shim.h"

struct lpk_redirect {
	struct ftrace_ops ops;
	struct kprobe probe;
	bool is_probe;
	size_t patch;
	unsigned long old, new;
};

static struct lpk_redirect lpk_redirects[LPK_SLOTS];
/* Whether calls go to new code. Turned while the machine is stopped only. */
static bool lpk_on[LPK_PATCHES];

void lpk_switch(size_t patch, bool on)
{
	if (patch < LPK_PATCHES)
		WRITE_ONCE(lpk_on[patch], on);
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define ftrace_regs_set_instruction_pointer ftrace_instruction_pointer_set
#endif

static void notrace lpk_ftrace_handler(unsigned long ip, unsigned long parent_ip,
				       struct ftrace_ops *ops, struct ftrace_regs *regs)
{
	struct lpk_redirect *one = container_of(ops, struct lpk_redirect, ops);

	if (READ_ONCE(lpk_on[one->patch]))
		ftrace_regs_set_instruction_pointer(regs, one->new);
}

static int notrace lpk_probe_handler(struct kprobe *probe, struct pt_regs *regs)
{
	struct lpk_redirect *one = container_of(probe, struct lpk_redirect, probe);

	if (!READ_ONCE(lpk_on[one->patch]))
		return 0;
	instruction_pointer_set(regs, one->new);
	return 1;	/* the old first instruction is not to be run */
}
NOKPROBE_SYMBOL(lpk_probe_handler);

/* It is there to keep the probe from being made a jump, which would not look at the changed instruction pointer. */
static void notrace lpk_probe_post(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}
NOKPROBE_SYMBOL(lpk_probe_post);

static int lpk_hook_probe(struct lpk_redirect *one)
{
	one->probe.addr = (kprobe_opcode_t *)one->old;
	one->probe.pre_handler = lpk_probe_handler;
	one->probe.post_handler = lpk_probe_post;
	one->is_probe = true;
	return register_kprobe(&one->probe);
}

int lpk_hook(size_t slot, size_t patch, unsigned long old, unsigned long new, bool *kprobe)
{
	struct lpk_redirect *one;
	int error;

	if (slot >= LPK_SLOTS || patch >= LPK_PATCHES)
		return -EINVAL;
	one = &lpk_redirects[slot];
	memset(one, 0, sizeof(*one));
	one->patch = patch;
	one->old = old;
	one->new = new;
	lpk_switch(patch, false);
	one->ops.func = lpk_ftrace_handler;
	/* PERMANENT: kernel.ftrace_enabled=0 would switch the fix off in silence. */
	one->ops.flags = FTRACE_OPS_FL_DYNAMIC | FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT;
#ifndef CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS
	one->ops.flags |= FTRACE_OPS_FL_SAVE_REGS;
#endif
	error = ftrace_set_filter_ip(&one->ops, old, 0, 0);
	*kprobe = error != 0;
	if (error) {
		ftrace_free_filter(&one->ops);
		return lpk_hook_probe(one);
	}
	error = register_ftrace_function(&one->ops);
	if (error)
		ftrace_free_filter(&one->ops);
	return error;
}

int lpk_unhook(size_t slot)
{
	struct lpk_redirect *one;
	int error;

	if (slot >= LPK_SLOTS)
		return -EINVAL;
	one = &lpk_redirects[slot];
	if (one->is_probe) {
		unregister_kprobe(&one->probe);
		return 0;
	}
	error = unregister_ftrace_function(&one->ops);
	if (!error)
		ftrace_free_filter(&one->ops);
	return error;
}

/* By the text of sprint_symbol(), `name+0x0/0xsize [module]`: nothing better is exported. */
bool lpk_is_entry(unsigned long address)
{
	char text[KSYM_SYMBOL_LEN];

	sprint_symbol(text, address);
	return strstr(text, "+0x0/") != NULL;
}
